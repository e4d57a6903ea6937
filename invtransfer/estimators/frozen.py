"""Estimators around a frozen encoder, which survives when they are cloned."""

from sklearn.base import clone


class AroundEncoder:
    """Keep the parameter `encoder` in clones, where it stays fitted and is shared; an ordinary clone would reset it."""

    def __sklearn_clone__(self):
        """Return an unfitted estimator with the same encoder and copies of all other parameters."""
        parameters = self.get_params(deep=False)
        copies = {name: clone(value, safe=False) for name, value in parameters.items() if name != "encoder"}
        twin = type(self)(encoder=parameters["encoder"], **copies)
        for name in ("_metadata_request", "_sklearn_output_config"):  # of set_fit_request and set_output
            if name in vars(self):
                setattr(twin, name, vars(self)[name])
        return twin
