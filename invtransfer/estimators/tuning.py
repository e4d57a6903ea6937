"""FineTuner: all weights of an encoder trained on, from a linear probe on its features."""

import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.estimators.frozen import clone_around_encoder
from invtransfer.estimators.labels import find_classes
from invtransfer.estimators.network_classifier import NetworkClassifier
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.images import check_count, validate_input, validate_validation
from invtransfer.networks.training import train


class FineTuner(NetworkClassifier):
    """Fine-tune a copy of an encoder, after a linear probe: what does a representation become on the target task?

    First a `FrozenFeatureProbe` is fitted on the encoder's features. Then it becomes the head of a copy of the
    encoder's network, of which all weights are trained. The encoder is never changed; `sklearn.base.clone` and
    cross-validation keep it as it is.

    Parameters
    ----------
    encoder : InvariantPretrainer, FineTuner, torch.nn.Module or None
        From images to features, fitted; a module takes float images in [0, 1] of shape (n_samples, 3, height, width).
        None: the pixels themselves, so that a linear classifier is trained on.
    layer : str or None
        Of a torch module: name of the layer, as in ``named_modules()``, whose output are the features; "" is the
        module's own output. None: what goes into the module's last linear layer, if the last layer with weights is one,
        else its output.
    probe : FrozenFeatureProbe or None
        With the settings of the probe, of which a copy is fitted; its `encoder`, `layer` and `image_shape` are those
        given here, and if its `random_state` is None, it depends on the one given here. None: the default settings.
    transformations : sequence of str or Transformation
        Applied to whole images in tuning, in this order, anew in every epoch; the probe is fitted on the first epoch's
        draw. Validation and prediction see images as they are given. () or None: none.
    epochs : int
        Passes over the training data; 0 leaves the encoder's weights, and the predictions of the probe.
    batch_size : int
        Images per step, at least 2; where 2 would leave one image over, steps have up to 3.
    learning_rate : float
        Of Adam; the largest value if the schedule varies it.
    schedule : str
        "linear": down linearly to 0 from the first step on; "constant"; "one-cycle": up linearly over the first fifth
        of the steps, then down linearly to 0; "cosine": up over 5 epochs, but no more than a tenth of the steps, then
        down to 1 % along a cosine.
    weight_decay : float
        L2 penalty of Adam.
    precision : str
        "float32", "bfloat16", or "auto": bfloat16 in training where the hardware computes it. Features and predictions
        are computed in float32; so is all else on a CPU if a stride exceeds its input (`strides_beyond_input`).
    device : str
        Where the copy is trained and used: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".
    image_shape : tuple of int
        (height, width, 3) of the images, if `X` is given as flattened images of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels.
    random_state : int, RandomState or None
        Of the order of samples, transformations, dropout, and of a probe that draws.
    checkpoint : path-like or None
        File that the state of training is written to, arrays and JSON and no pickle: after the first epoch, the last,
        and those between at which that takes at most a twentieth of the time. A fit with the same data and parameters
        goes on from it, after a kill, too, to the same weights as if it had never stopped (the probe is fitted again);
        a fit with others refuses it. `random_state` has to be given. One file belongs to one training: leave it out in
        cross-validation. It stays when training is done, until you remove it. None: no file.
    verbose : bool
        Show a progress bar on stderr.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels seen in fit.
    probe_ : FrozenFeatureProbe
        Fitted on the features of the encoder before tuning: ``probe_.score(X, y)`` is the accuracy of linear probing.
    weights_ : dict of str to ndarray
        The tuned network's weights and statistics, on the CPU; `module` makes a torch module of them.
    layer_ : str
        Where the features are taken: "output of the module", "input of fc", "output of layer3".
    history_ : dict
        "loss" and, with validation data, "val_accuracy" over epochs, and "best_epoch", the one that is kept.
    image_shape_ : tuple of int
        (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.
    n_iter_ : int
        Number of epochs trained.

    Notes
    -----
    The paper's settings are the defaults where it states them: after the probe 50 epochs, and a learning rate that
    falls linearly from 1e-3 to 0. Of the size of batches it says nothing in that place; 512 is that of its pretraining.
    The probe's standardisation becomes part of the weights of the head, so that the network starts with the probe's
    predictions. Images are normalised as in pretraining, not anew, and batch norm goes on to learn its statistics.
    All weights are trained, those too that do not require gradients in the encoder. Pickles hold the weights as NumPy
    arrays, and the encoder as it is. A pickle runs whatever code its maker put into it, so open only those that you
    trust; files of `save_encoder` cannot.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix C.2;
    Kumar, Raghunathan, Jones, Ma, Liang, "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022.

    Examples
    --------
    >>> from invtransfer import FineTuner, InvariantPretrainer, Transforms2D, load_objects
    >>> objects = load_objects("procedural")
    >>> source, target = (Transforms2D(some, ["rotate"], random_state=0) for some in (objects[:4], objects[4:8]))
    >>> encoder = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0).fit(*source.sample(64))
    >>> tuner = FineTuner(encoder, epochs=2, batch_size=32, random_state=0).fit(*target.sample(64))
    >>> tuner.transform(target.sample(10, start=64)[0]).shape
    (10, 32)
    >>> 0 <= tuner.probe_.score(*target.sample(50, start=64)) <= 1
    True
    """

    def __init__(
        self,
        encoder,
        *,
        layer=None,
        probe=None,
        transformations=(),
        epochs=50,
        batch_size=512,
        learning_rate=1e-3,
        schedule="linear",
        weight_decay=0.0,
        precision="auto",
        device="auto",
        image_shape=None,
        random_state=None,
        checkpoint=None,
        verbose=False,
    ):
        self.encoder = encoder
        self.layer = layer
        self.probe = probe
        self.transformations = transformations
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.precision = precision
        self.device = device
        self.image_shape = image_shape
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X, y, X_val=None, y_val=None):
        """Fit the probe on frozen features, then train a copy of the whole network from there.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
            Images, of the shape that the encoder takes; or of shape (n_samples, n_features), see `image_shape`.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like
            Validation data of the same kind: the epoch with the best accuracy on it is kept. None: the last. The probe
            gets them, too.

        Returns
        -------
        self : FineTuner

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, the encoder has no such layer or takes images of another
            shape, or the loss diverges.
        TypeError
            If `encoder` has no weights to tune, or `probe` is no FrozenFeatureProbe.
        NotFittedError
            If `encoder` is an estimator that is not fitted.
        """
        _check_encoder(self.encoder)
        if self.probe is not None and not isinstance(self.probe, FrozenFeatureProbe):
            raise TypeError(f"probe is of type {type(self.probe).__name__}, expected a FrozenFeatureProbe or None")
        epochs = check_count(self.epochs, "epochs", low=0)
        X, y = validate_input(self, X, y, reset=True)
        batch_size = self._check_batch_size(len(X))
        self._check_shape()
        self.classes_, codes = find_classes(y)
        X_val, codes_val = validate_validation(self, X_val, y_val)
        seed = self._derive_seed("tuning")
        renew = self._transformed(X, seed)
        self.probe_ = self._make_probe(seed)._fit(X if renew is None else renew(0), codes, X_val, codes_val)
        network, recipe = self._copy_network()
        self.history_ = train(
            network,
            X,
            codes,
            X_val=X_val,
            y_val=codes_val,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            device=self.device,
            precision=self.precision,
            generator=torch.Generator().manual_seed(seed),
            renew=renew,
            checkpoint=self.checkpoint,
            verbose=self.verbose,
        )
        self.n_iter_ = epochs
        self._keep(network, recipe)
        return self

    def _check_shape(self):
        """Say if the encoder was fitted on images of another shape: its copy would be given what it does not take."""
        shape = getattr(self.encoder, "image_shape_", self.image_shape_)
        if shape != self.image_shape_:
            hint = f": give image_shape={shape}" if self.image_shape_[2] == 1 and shape[2] == 3 else ""
            raise ValueError(f"X has images of shape {self.image_shape_}, expected {shape}, as the encoder has{hint}")

    def _make_probe(self, seed):
        """Return an unfitted probe that has seen the same images and labels as the tuner."""
        probe = FrozenFeatureProbe() if self.probe is None else clone(self.probe)
        encoder = nn.Flatten() if self.encoder is None else self.encoder
        probe.set_params(encoder=encoder, layer=self.layer, image_shape=self.image_shape)
        if probe.random_state is None:
            probe.set_params(random_state=seed)
        for name in ("classes_", "image_shape_", "n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(probe, name, getattr(self, name))
        return probe

    def _copy_network(self):
        """Return a copy of the encoder's network with the probe as its head, and the recipe that `_keep` takes."""
        encoder = self.probe_.encoder
        if isinstance(encoder, NetworkClassifier):
            network, recipe = encoder.module(), encoder._architecture
        else:
            network = build_network(encoder, len(self.classes_), image_shape=self.image_shape_, layer=self.layer)
            recipe = None
        network.head = fold_standardisation(self.probe_)
        for weight in network.parameters():
            weight.requires_grad_(weight.is_floating_point())
        return network, dict(recipe) if isinstance(recipe, dict) else None

    def __sklearn_clone__(self):
        """Clone all but the encoder, which stays frozen and shared."""
        return clone_around_encoder(self)


def _check_encoder(encoder):
    """Say if an encoder has no weights that could be tuned."""
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if isinstance(encoder, NetworkClassifier):
        check_is_fitted(encoder)
    elif encoder is not None and not isinstance(encoder, nn.Module):
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, which has no weights to tune, expected an"
            " InvariantPretrainer, a FineTuner, a torch module or None"
        )


def fold_standardisation(probe):
    """Make the linear layer that gives a probe's logits, from features that are not standardised.

    Parameters
    ----------
    probe : FrozenFeatureProbe
        Fitted.

    Returns
    -------
    head : torch.nn.Linear
        From features (n_samples, n_features) to logits (n_samples, n_classes), float32, on the CPU.

    Examples
    --------
    Of features 0 and 4 the mean is 2 and the standard deviation 2, so half a weight of 10 is left, and an offset of 0
    becomes minus 2 * 5:

    >>> import numpy as np
    >>> probe = FrozenFeatureProbe().fit(np.array([[0.0], [4.0]]), [0, 1])
    >>> probe.coef_[1], probe.intercept_[1] = 10, 0
    >>> head = fold_standardisation(probe)
    >>> head.weight[1].tolist(), head.bias[1].tolist()
    ([5.0], -10.0)
    """
    weight = probe.coef_ / probe.scaler_.scale_
    bias = probe.intercept_ - weight @ probe.scaler_.mean_
    head = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device="cpu")
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head
