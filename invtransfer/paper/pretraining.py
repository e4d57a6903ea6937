"""Pretraining, the first step of every cell: an encoder that has learned a source task, and how well."""

from invtransfer.estimators.pretraining import InvariantPretrainer
from invtransfer.paper.tasks import count_available, sample_training, share_seen


def pretrain(
    source, *, seed, n_samples, n_validation, n_test, architecture, width, epochs, batch_size, learning_rate, schedule,
    weight_decay, optimizer="adam", checkpoints=None,
):  # fmt: skip
    """Pretrain an encoder on a source task, and test it there.

    Parameters
    ----------
    source : tuple of (train, validation, test)
        Sources of images.
    seed : int
        Random state of the encoder.
    n_samples, n_validation : int
        Numbers of images to train and to validate on, see `sample_training`.
    n_test : int
        Number of images to test on, or all where there are fewer.
    architecture, width, epochs, batch_size, learning_rate, schedule, weight_decay, optimizer
        As in `InvariantPretrainer`. After 0 epochs the encoder has its initial weights.
    checkpoints : Path or None
        Folder for checkpoints of the training. None: there are none.

    Returns
    -------
    encoder : InvariantPretrainer
        Fitted encoder.
    measured : dict
        "source_accuracy", the accuracy on test images of the source task, and "source_seen", the share of these that
        are identical to a training image, as `make_cell` takes them.
    """
    data, transformations = sample_training(source, n_samples, n_validation)
    encoder = InvariantPretrainer(
        architecture, width=width, transformations=transformations, epochs=epochs, batch_size=batch_size,
        learning_rate=learning_rate, schedule=schedule, weight_decay=weight_decay, optimizer=optimizer,
        random_state=seed, checkpoint=checkpoints and checkpoints / "pretraining.npz",
    ).fit(*data)  # fmt: skip
    X_test, y_test = source[-1].sample(count_available(source[-1], n_test))
    return encoder, {
        "source_accuracy": ((), encoder.score(X_test, y_test), "accuracy on the source task"),
        "source_seen": ((), share_seen(data[0], X_test), "share of the source's test images that were trained on"),
    }
