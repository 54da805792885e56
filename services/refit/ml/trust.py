"""Which types a model file may hold.

skops builds nothing but types that it trusts or is told to trust. Its own list has scikit-learn's estimators, numpy's
arrays and ufuncs, and plain containers. BUILT_IN adds what fitted estimators hold beside, found by saving every
estimator of scikit-learn that saves (tests/unit/ml/test_persist.py does it again), and what selects columns in
transformers: each is a record of numbers or a pure function. Trees are among them although skops leaves them out,
because refit checks their indices (trees.py).

A type of another package is built only if the train manifest names it and the pipeline's file names its package, as
estimator or transformer. No manifest can widen trust to the standard library or to the
libraries of CLOSED: what the built-in lists leave out of these stays out.
"""

import sys
from collections.abc import Iterable
from typing import Final

TREES: Final = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
)

_DISTANCES: Final = (
    "BrayCurtis",
    "Canberra",
    "Chebyshev",
    "Euclidean",
    "Hamming",
    "Haversine",
    "Jaccard",
    "Mahalanobis",
    "Manhattan",
    "Minkowski",
    "SEuclidean",
)

_KERNELS: Final = (
    "CompoundKernel",
    "ConstantKernel",
    "DotProduct",
    "ExpSineSquared",
    "Exponentiation",
    "Matern",
    "Product",
    "RBF",
    "RationalQuadratic",
    "Sum",
    "WhiteKernel",
)

_SCORED_BY: Final = (
    "_classification.accuracy_score",
    "_classification.balanced_accuracy_score",
    "_classification.brier_score_loss",
    "_classification.f1_score",
    "_classification.log_loss",
    "_classification.matthews_corrcoef",
    "_classification.precision_score",
    "_classification.recall_score",
    "_ranking.average_precision_score",
    "_ranking.roc_auc_score",
    "_regression.max_error",
    "_regression.mean_absolute_error",
    "_regression.mean_absolute_percentage_error",
    "_regression.mean_gamma_deviance",
    "_regression.mean_poisson_deviance",
    "_regression.mean_squared_error",
    "_regression.median_absolute_error",
    "_regression.r2_score",
    "_regression.root_mean_squared_error",
    "_scorer._CurveScorer",
    "_scorer._PassthroughScorer",
    "_scorer._Scorer",
)

_SELECTED_BY: Final = (
    "_mutual_info.mutual_info_classif",
    "_mutual_info.mutual_info_regression",
    "_univariate_selection.chi2",
    "_univariate_selection.f_classif",
    "_univariate_selection.f_regression",
    "_univariate_selection.r_regression",
)

# Boosted trees of two other libraries, which are extras. Their own loaders read what a Booster holds, as text or bytes.
_BOOSTED: Final = (
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRegressor",
)

BUILT_IN: Final = frozenset(
    (
        "builtins.object",  # as a dtype to select columns by
        "collections.OrderedDict",
        "functools.partial",
        "numpy.dtype",
        "numpy.number",
        "refit.ml.outliers.ThreeSigmaClipper",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.compose._column_transformer.make_column_selector",
        *(f"sklearn.feature_selection.{name}" for name in _SELECTED_BY),
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
        *(f"sklearn.metrics._dist_metrics.{name}Distance64" for name in _DISTANCES),
        *(f"sklearn.metrics.{name}" for name in _SCORED_BY),
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.model_selection._split.TimeSeriesSplit",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.utils.validation.check_array",
        *TREES,
        *_BOOSTED,
    )
)

CLOSED: Final = frozenset({"joblib", "numpy", "pandas", "pyarrow", "refit", "scipy", "skops", "sklearn"}) | frozenset(
    sys.stdlib_module_names
)


def package_of(name: str) -> str:
    """The top package of a dotted name, or of package.module:function."""
    return name.partition(":")[0].partition(".")[0]


def allowed(trusted: Iterable[str]) -> frozenset[str]:
    """All types beyond skops' own list that may be built: the built-in ones, and those of `trusted` that may join."""
    return BUILT_IN | {name for name in trusted if package_of(name) not in CLOSED}
