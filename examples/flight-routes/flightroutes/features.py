"""Features of one's own: the clock as a circle, and how often each carrier is late on each route."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def prepare():
    """What refit.yaml names. It gets a DataFrame of the query's columns, without key, cursor and target."""
    numbers = make_column_transformer(
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include=np.number)),
        (
            OneHotEncoder(min_frequency=50, handle_unknown="infrequent_if_exist", sparse_output=False),
            ["carrier", "dest"],
        ),
    )
    return make_pipeline(Clock(), RouteRate(), numbers)


class Clock(TransformerMixin, BaseEstimator):
    """The minute of the day and the day of the week as points on a circle: 23:59 lies beside 00:00."""

    def fit(self, X, y=None):
        self.circles_ = {"minute": 1440, "weekday": 7}
        return self

    def transform(self, X):
        turned = {}
        for column, circle in self.circles_.items():
            angle = 2 * np.pi * X[column] / circle
            turned |= {f"{column}_sin": np.sin(angle), f"{column}_cos": np.cos(angle)}
        return X.drop(columns=list(self.circles_)).assign(**turned)


class RouteRate(TransformerMixin, BaseEstimator):
    """How often a carrier's flights on a route were late in the training rows.

    A route with few flights is drawn towards its carrier's rate, and a small carrier towards the rate of all, as if
    `strength` flights of that kind had been seen besides.

    A training row must not tell its own answer. So in the fit each row has the rate of the other folds; only rows that
    come later have the rate of all. Without that the model would lean on the rate more than it deserves.
    """

    def __init__(self, strength=50.0, folds=5, random_state=None):
        self.strength = strength
        self.folds = folds
        self.random_state = random_state  # refit sets it to the file's seed

    def fit(self, X, y):
        self.overall_, self.carriers_, self.routes_ = self._learn(X, y)
        return self

    def fit_transform(self, X, y):
        self.fit(X, y)
        rate, folds = np.empty(len(X)), KFold(self.folds, shuffle=True, random_state=self.random_state)
        for others, fold in folds.split(X):
            rate[fold] = self._rate(X.iloc[fold], *self._learn(X.iloc[others], y[others]))
        return X.assign(route_rate=rate)

    def transform(self, X):
        return X.assign(route_rate=self._rate(X, self.overall_, self.carriers_, self.routes_))

    def _learn(self, X, y):
        rows = pd.DataFrame({"carrier": X["carrier"], "route": self._routes(X), "late": np.asarray(y, dtype=float)})
        overall, carriers, routes = float(rows["late"].mean()), {}, {}
        for carrier, flights in rows.groupby("carrier"):
            carriers[carrier] = self._drawn(flights["late"], overall)
            for route, of_route in flights.groupby("route"):
                routes[route] = self._drawn(of_route["late"], carriers[carrier])
        return overall, carriers, routes

    def _drawn(self, late, towards):
        return float((late.sum() + self.strength * towards) / (len(late) + self.strength))

    def _rate(self, X, overall, carriers, routes):
        of_carrier = X["carrier"].map(carriers).astype(float).fillna(overall)
        return self._routes(X).map(routes).astype(float).fillna(of_carrier).to_numpy()

    def _routes(self, X):
        return X["carrier"] + " " + X["origin"] + " " + X["dest"]
