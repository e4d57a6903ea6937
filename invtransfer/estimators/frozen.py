"""Estimators that hold a frozen encoder."""

from sklearn.base import clone


def clone_around_encoder(estimator):
    """Clone an estimator but keep its encoder, as it is: frozen, fitted, shared.

    Parameters
    ----------
    estimator : estimator
        With a parameter `encoder`.

    Returns
    -------
    clone : estimator
        Unfitted, with copies of all other parameters; a plain clone would forget what the encoder has learned.
    """
    parameters = estimator.get_params(deep=False)
    copies = {name: clone(value, safe=False) for name, value in parameters.items() if name != "encoder"}
    twin = type(estimator)(encoder=parameters["encoder"], **copies)
    for name in ("_metadata_request", "_sklearn_output_config"):  # set_fit_request, set_output: outlive a clone
        if name in vars(estimator):
            setattr(twin, name, vars(estimator)[name])
    return twin
