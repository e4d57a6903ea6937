"""FineTuner, which trains all weights of an encoder further, starting from a linear probe on its features."""

import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.encoders.encoding import unwrap
from invtransfer.estimators.frozen import AroundEncoder
from invtransfer.estimators.inputs import validate_input, validate_validation
from invtransfer.estimators.network_classifier import NetworkClassifier
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.images.checks import check_count
from invtransfer.images.labels import find_classes
from invtransfer.networks.training import train
from invtransfer.surroundings import usual_torch


class FineTuner(AroundEncoder, NetworkClassifier):
    """Fine-tune a copy of an encoder after a linear probe: what does a representation become on the target task?

    First a `FrozenFeatureProbe` is fitted on the features of the encoder. It then becomes the head of a copy of the
    encoder's network, and all weights of that copy are trained. The encoder itself is never changed, and is kept by
    `sklearn.base.clone` and cross-validation.

    Parameters
    ----------
    encoder : InvariantPretrainer, FineTuner, torch.nn.Module or None
        Fitted encoder from images to features. A torch module receives float tensors in [0, 1] of shape
        (n_samples, 3, height, width), so a normalisation of the images belongs in it. None: the pixels are the
        features, and a linear classifier is trained further. In the grid of a search, give
        ``sklearn.frozen.FrozenEstimator(encoder)``.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `invtransfer.encoders.LayerFeatures`.
    probe : FrozenFeatureProbe or None
        Probe with the settings to use, of which a copy is fitted; its `pool` is that of the tuned network, too. Its
        `encoder`, `layer` and `image_shape` are those given here, and a `random_state` of None is derived from the one
        given here. None: the default settings.
    transformations : sequence of str or Transformation, or None
        Transformations of whole images during tuning, applied in this order and drawn anew in every epoch; the probe is
        fitted on those of the first epoch. Those that act with probability 0.5 leave about half of the images as they
        are. Validation and prediction use the images as given. () or None: no transformations.
    epochs : int
        Number of passes over the training data. With 0, the weights of the encoder and the predictions of the probe are
        kept.
    batch_size : int
        Number of images per step, at least 2. If 2 would leave one image over, steps have up to 3.
    learning_rate : float
        Learning rate of Adam; its largest value if the schedule varies it.
    schedule : str
        Schedule of the learning rate: "constant"; "one-cycle", which rises linearly over the first fifth of the steps
        and then falls linearly to 0; "cosine", which rises over 5 epochs, but at most a tenth of the steps, and then
        falls to 1 % along a cosine (the paper's for "vit"); "linear", which falls linearly to 0.
    weight_decay : float
        Coefficient of Adam's L2 penalty.
    precision : str
        Number format of the training: "float32", "bfloat16", or "auto", which is bfloat16 where the hardware computes
        it. On a CPU, training is in float32 if the stride of a convolution exceeds its input. Features and predictions
        are always computed in float32.
    device : str
        Device on which the network is trained and used: "auto" (a GPU if there is one, else the CPU), "cpu", "cuda" or
        "cuda:1".
    image_shape : tuple of int or None
        Shape (height, width, 3) of the images if `X` holds flattened images, of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels.
    random_state : int, RandomState or None
        Seed of the order of the samples, the transformations, dropout, and a probe that draws.
    checkpoint : path-like or None
        File to which the state of training is written (arrays and JSON, no pickle): after the first epoch, after the
        last, and in between as often as that takes at most a twentieth of the time. A fit with the same data and
        parameters continues from it, also after a kill, to the same weights as an uninterrupted one (the probe is
        fitted again); a fit with other data or parameters raises an error. It requires a `random_state`. Each training
        needs a file of its own, so leave it out in cross-validation. The file remains after training. None: no file.
    verbose : bool
        Whether to show a progress bar on stderr.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels seen in fit.
    probe_ : FrozenFeatureProbe
        Probe on the features of the encoder before tuning: ``probe_.score(X, y)`` is the accuracy of linear probing.
    weights_ : dict of str to ndarray
        Weights and statistics of the tuned network, on the CPU; `module` makes a torch module of them.
    layer_ : str
        Where the features are taken, such as "input of fc" or "output of layer3, mean over places".
    history_ : dict
        "loss" and, if there are validation data, "val_accuracy", lists over epochs; and "best_epoch", the number of the
        epoch whose weights are kept.
    image_shape_ : tuple of int
        Shape (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.
    n_iter_ : int
        Number of epochs.

    Notes
    -----
    The defaults are the paper's settings where it states them: after the probe, 50 epochs with a learning rate that
    falls linearly from 1e-3 to 0. It does not state the batch size; 512 is that of its pretraining. The standardisation
    of the probe is folded into the head, so that the network starts with the predictions of the probe. Images are
    normalised as in pretraining, and batch norm continues to update its statistics. All weights are trained, also
    those that do not require gradients in the encoder.

    Pickles hold the weights as NumPy arrays, and the encoder as it is.
    Unpickling a file runs whatever code its maker put into it, so open only files that you trust. A file of
    `save_encoder` holds no code.

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
        """Fit the probe on frozen features, then train a copy of the whole network, starting from the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
            Images of the shape that the encoder takes; or an array of shape (n_samples, n_features), see `image_shape`.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like or None
            Validation data of the same kind: the epoch with the best accuracy on them is kept. None: the last. The
            probe uses them in the same way.

        Returns
        -------
        self : FineTuner

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, the encoder has no such layer or takes images of another
            shape, or the loss becomes NaN or infinite.
        TypeError
            If `encoder` has no weights to tune, or `probe` is not a FrozenFeatureProbe.
        NotFittedError
            If `encoder` is an estimator that is not fitted.
        """
        encoder = unwrap(self.encoder)
        _check_encoder(encoder)
        if self.probe is not None and not isinstance(self.probe, FrozenFeatureProbe):
            raise TypeError(f"probe is of type {type(self.probe).__name__}, expected a FrozenFeatureProbe or None")
        epochs = check_count(self.epochs, "epochs", low=0)
        X, y = validate_input(self, X, y, reset=True)
        batch_size = self._check_batch_size(len(X))
        self._check_shape(encoder)
        self.classes_, codes = find_classes(y)
        X_val, codes_val = validate_validation(self, X_val, y_val)
        seed = self._derive_seed("tuning")
        renew = self._transformed(X, seed)
        self.probe_ = self._make_probe(encoder, seed)._fit(X if renew is None else renew(0), codes, X_val, codes_val)
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
            channels_last=recipe is not None,
            checkpoint=self.checkpoint,
            verbose=self.verbose,
        )
        self.n_iter_ = epochs
        self._keep(network, recipe)
        return self

    def _check_shape(self, encoder):
        """Raise an error if the encoder was fitted on images of another shape."""
        shape = getattr(encoder, "image_shape_", self.image_shape_)
        if shape != self.image_shape_:
            hint = f": give image_shape={shape}" if self.image_shape_[2] == 1 and shape[2] == 3 else ""
            raise ValueError(f"X has images of shape {self.image_shape_}, expected {shape}, as the encoder has{hint}")

    def _make_probe(self, encoder, seed):
        """Return an unfitted probe of an encoder that has seen the same images and labels as the tuner."""
        probe = FrozenFeatureProbe() if self.probe is None else clone(self.probe)
        encoder = nn.Flatten() if encoder is None else encoder
        probe.set_params(encoder=encoder, layer=self.layer, image_shape=self.image_shape)
        if probe.random_state is None:
            probe.set_params(random_state=seed)
        for name in ("classes_", "image_shape_", "n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(probe, name, getattr(self, name))
        return probe

    @usual_torch()
    def _copy_network(self):
        """Return a copy of the encoder's network with the probe as its head, and the recipe that `_keep` takes."""
        encoder = self.probe_.encoder
        if isinstance(encoder, NetworkClassifier):
            network, recipe = encoder.module(), encoder._architecture
        else:
            options = {"image_shape": self.image_shape_, "layer": self.layer, "pool": self.probe_.pool}
            network = build_network(encoder, len(self.classes_), **options)
            recipe = None
        network.head = fold_standardisation(self.probe_)
        for weight in network.parameters():
            weight.requires_grad_(weight.is_floating_point())
        return network, dict(recipe) if isinstance(recipe, dict) else None


def _check_encoder(encoder):
    """Raise an error if an encoder has no weights that can be tuned."""
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if isinstance(encoder, NetworkClassifier):
        check_is_fitted(encoder)
    elif encoder is not None and not isinstance(encoder, nn.Module):
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, which has no weights to tune, expected an"
            " InvariantPretrainer, a FineTuner, a torch module or None"
        )


@usual_torch()
def fold_standardisation(probe):
    """Make a linear layer that computes the logits of a probe from features that are not standardised.

    Parameters
    ----------
    probe : FrozenFeatureProbe
        Fitted probe.

    Returns
    -------
    head : torch.nn.Linear
        Layer from features (n_samples, n_features) to logits (n_samples, n_classes), float32, on the CPU.

    Examples
    --------
    The features 0 and 4 have mean 2 and standard deviation 2, so a weight of 10 becomes 10 / 2 = 5, and an offset of 0
    becomes 0 - 5 * 2 = -10:

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
