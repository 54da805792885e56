"""refit: retrains scikit-learn models on a schedule and promotes a new one only when it can be trusted."""

from typing import Any

from refit.core.about import __version__

__all__ = ["__version__", "load"]


def load(name: str, store: str | None = None) -> Any:
    """The verified champion of pipeline `name` as a fitted estimator that takes raw rows as a DataFrame.

    Args:
        name: The pipeline's name.
        store: `s3://bucket/prefix` or `file:///dir`; default REFIT_STORE, else `.refit/store` here.

    Returns:
        The fitted scikit-learn Pipeline; `.version` names the version it is.

    Raises:
        ConfigError: no such pipeline, or nothing was promoted yet.
        ArtifactError: the model is gone, altered, holds a type that is not allowed, or does not say what it said.
    """
    from refit.predict.champion import load as load_champion

    return load_champion(name, store)
