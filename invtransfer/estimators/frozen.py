"""Estimators around a frozen encoder, and perhaps a fitted probe, which survive when they are cloned."""

from sklearn.base import clone


class AroundEncoder:
    """Keep the parameter `encoder` in clones, where it stays fitted and is shared; an ordinary clone would reset it."""

    _kept = ("encoder",)

    def __sklearn_clone__(self):
        """Return an unfitted estimator with the same encoder and copies of all parameters that are not kept."""
        parameters = self.get_params(deep=False)
        for name in parameters.keys() - set(self._kept):
            parameters[name] = clone(parameters[name], safe=False)
        twin = type(self)(**parameters)
        for name in ("_metadata_request", "_sklearn_output_config"):  # of set_fit_request and set_output
            if name in vars(self):
                setattr(twin, name, vars(self)[name])
        return twin
