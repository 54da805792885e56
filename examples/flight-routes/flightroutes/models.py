"""An estimator of one's own."""

from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def blend(trees=40, weight=2.0):
    """What refit.yaml names, called with model.params: boosted trees and a straight line that vote by probability.

    Trees see what works together, the line goes on where they have seen nothing; `weight` votes of the trees count
    against one of the line.
    """
    line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    boosted = HistGradientBoostingClassifier(learning_rate=0.08, max_iter=trees, max_leaf_nodes=8, early_stopping=False)
    return VotingClassifier([("line", line), ("trees", boosted)], voting="soft", weights=[1.0, weight])
