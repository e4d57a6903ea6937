"""Cloning of estimators that hold a frozen encoder."""

from sklearn.base import clone


def clone_around_encoder(estimator):
    """Clone an estimator with its encoder, which stays fitted and is shared.

    Parameters
    ----------
    estimator : estimator
        Estimator with a parameter `encoder`.

    Returns
    -------
    clone : estimator
        Unfitted estimator with copies of all other parameters. An ordinary clone would also reset the encoder.
    """
    parameters = estimator.get_params(deep=False)
    copies = {name: clone(value, safe=False) for name, value in parameters.items() if name != "encoder"}
    twin = type(estimator)(encoder=parameters["encoder"], **copies)
    for name in ("_metadata_request", "_sklearn_output_config"):  # of set_fit_request and set_output
        if name in vars(estimator):
            setattr(twin, name, vars(estimator)[name])
    return twin
