"""InvariantPretrainer, which trains a network to classify images regardless of their transformation."""

import math
import warnings

import numpy as np
import torch
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.encoders.preprocessing import Preprocessing
from invtransfer.estimators.inputs import validate_input, validate_validation
from invtransfer.estimators.network_classifier import NetworkClassifier
from invtransfer.images.checks import check_count
from invtransfer.images.labels import find_classes
from invtransfer.networks.training import train

FAR_ABOVE = 10  # times the loss of guessing, from which on a training has diverged
PIXELS_AT_ONCE = 2**20  # that are converted to float64: 24 MiB


class InvariantPretrainer(NetworkClassifier):
    """Train an encoder to classify transformed images, which makes it invariant to their transformations.

    The transformations are those of the given images (`Transforms2D` draws such images), or those named in
    `transformations`, which are drawn anew for every image in every epoch.

    Parameters
    ----------
    network : str or torch.nn.Module
        Name of a network for small images, "resnet18", "resnet50", "densenet121", "vgg11" or "vit", which gets new
        weights; or a module of your own, such as torchvision's and timm's, of which a copy is trained under a new
        linear head, starting from its weights.
    width : float
        Multiple of the standard numbers of channels of a named network, of heads for "vit". 1.0 for a module.
    layer : str or None
        Layer whose output is taken as the features, under the new head: a name listed by ``named_modules()`` of the
        backbone of a named network or of the module, or "" for its output. None: the pooled features of a named
        network; for a module, what it calls its feature, else the input of the last linear layer if that is the last
        layer with weights (the head of a classifier), else its output. Maps and token sequences are pooled. See
        `invtransfer.encoders.LayerFeatures`.
    transformations : sequence of str or Transformation, or None
        Transformations of whole images during training, applied in this order. Those that act with probability 0.5
        leave about half of the images as they are. Validation and prediction use the images as given. A second copy of
        the training images is held in memory. () or None: no transformations.
    epochs : int
        Number of passes over the training data. With 0, the weights from which training starts are kept.
    batch_size : int
        Number of images per step, at least 2. If 2 would leave one image over, steps have up to 3.
    learning_rate : float
        Learning rate of the optimizer; its largest value if the schedule varies it.
    schedule : str
        Schedule of the learning rate: "constant"; "one-cycle", which rises linearly over the first fifth of the steps
        and then falls linearly to 0; "cosine", which rises over 5 epochs, but at most a tenth of the steps, and then
        falls to 1 % along a cosine (the paper's for "vit"); "linear", which falls linearly to 0.
    weight_decay : float
        Coefficient of the L2 penalty.
    optimizer : str
        "adam" (the paper's), or "muon", which orthogonalises the updates of matrices and convolutions (Jordan et al.,
        2024) and needs fewer steps. Good learning rates are a few times those of Adam.
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
        Seed of the initial weights, the order of the samples, the transformations, and dropout.
    checkpoint : path-like or None
        File to which the state of training is written (arrays and JSON, no pickle): after the first epoch, after the
        last, and in between as often as that takes at most a twentieth of the time. A fit with the same data and
        parameters continues from it, also after a kill, to the same weights as an uninterrupted one; a fit with other
        data or parameters raises an error. It requires a `random_state`. Each training needs a file of its own, so
        leave it out in cross-validation. The file remains after training. None: no file.
    verbose : bool
        Whether to show a progress bar on stderr.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels seen in fit.
    weights_ : dict of str to ndarray
        Weights and statistics of the network, on the CPU; `module` makes a torch module of them.
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
    The paper's settings are the defaults: 50 epochs, batches of 512, Adam with a learning rate of 1e-3, and the epoch
    with the best validation accuracy if `X_val` is given. Images are normalised with the mean and standard deviation of
    each channel of the training data, which the paper does not mention. Your own module receives these normalised
    images, in training and afterwards, so remove a normalisation of its own (which other estimators need in a module).
    Its layers whose weights do not require gradients are not changed, including the statistics of batch norm.

    Pickles hold the weights as NumPy arrays, and a module given as `network` as it is: keep it on the CPU.
    Unpickling a file runs whatever code its maker put into it, so open only files that you trust. A file of
    `save_encoder` holds no code.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 3.2.

    Examples
    --------
    >>> from invtransfer import InvariantPretrainer, Transforms2D, load_objects
    >>> source = Transforms2D(load_objects("procedural")[:4], transformations=["rotate"], random_state=0)
    >>> encoder = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0).fit(*source.sample(64))
    >>> encoder.transform(source.sample(10, start=64)[0]).shape
    (10, 32)
    """

    def __init__(
        self,
        network="resnet18",
        *,
        width=1.0,
        layer=None,
        transformations=(),
        epochs=50,
        batch_size=512,
        learning_rate=1e-3,
        schedule="constant",
        weight_decay=0.0,
        optimizer="adam",
        precision="auto",
        device="auto",
        image_shape=None,
        random_state=None,
        checkpoint=None,
        verbose=False,
    ):
        self.network = network
        self.width = width
        self.layer = layer
        self.transformations = transformations
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.precision = precision
        self.device = device
        self.image_shape = image_shape
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X, y, X_val=None, y_val=None):
        """Train a network from new weights, or a copy of the given module from its own weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
            Images; or an array of shape (n_samples, n_features), see `image_shape`.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like or None
            Validation data of the same kind: the epoch with the best accuracy on them is kept. None: the last.

        Returns
        -------
        self : InvariantPretrainer

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, the network cannot take images of that size, or the loss
            becomes NaN or infinite.
        TypeError
            If `network` is a class.

        Warns
        -----
        UserWarning
            If `network` has a preprocessing of `load_model` that normalises images, which would then be done twice; or
            if training has diverged, with a loss ten times that of guessing.
        """
        X, y = validate_input(self, X, y, reset=True)
        self.classes_, codes = find_classes(y)
        X_val, codes_val = validate_validation(self, X_val, y_val)
        epochs, batch_size = check_count(self.epochs, "epochs", low=0), self._check_batch_size(len(X))
        seed = self._derive_seed("pretraining")
        generator = torch.Generator().manual_seed(seed)
        mean, std = channel_statistics(X)
        _warn_of_normalisation(self.network)
        network = build_network(
            self.network,
            len(self.classes_),
            image_shape=self.image_shape_,
            width=self.width,
            layer=self.layer,
            mean=mean,
            std=std,
            generator=generator,
        )
        named = not isinstance(self.network, nn.Module)
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
            optimizer=self.optimizer,
            device=self.device,
            precision=self.precision,
            generator=generator,
            renew=self._transformed(X, seed),
            channels_last=named,
            checkpoint=self.checkpoint,
            verbose=self.verbose,
        )
        self.n_iter_ = epochs
        _warn_of_divergence(self.history_, len(self.classes_), self.learning_rate)
        self._keep(network, {"network": self.network, "width": self.width, "layer": self.layer} if named else None)
        return self


def _warn_of_normalisation(network):
    """Warn if images would be normalised twice, as by a model of `load_model`, which brings its own preprocessing."""
    parts = network.modules() if isinstance(network, nn.Module) else ()
    if any(isinstance(part, Preprocessing) and part.normalises for part in parts):
        warnings.warn(
            "network has a preprocessing that normalises images, and InvariantPretrainer normalises them as well: give"
            " it the model alone, which is the part `model` of what load_model returns",
            stacklevel=3,
        )


def _warn_of_divergence(history, n_classes, learning_rate):
    """Warn if the loss of the epoch that is kept is far above that of guessing."""
    loss, guess = history["loss"][history["best_epoch"]] if history["loss"] else 0.0, math.log(n_classes)
    if loss > FAR_ABOVE * guess:
        warnings.warn(
            f"the training loss is {loss:.3g}, where guessing has {guess:.3g}: training has diverged, lower"
            f" {learning_rate=!s}",
            stacklevel=3,
        )


def channel_statistics(X):
    """Compute the mean and standard deviation of each channel, without a float copy of all images.

    Parameters
    ----------
    X : ndarray of shape (n_samples, height, width, n_channels)
        Images; uint8 values are divided by 255.

    Returns
    -------
    mean, std : ndarray of shape (n_channels,), float64
        The standard deviation of a constant channel is given as 1.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.zeros((2, 1, 1, 3), dtype="uint8")
    >>> X[1, 0, 0, 0] = 255
    >>> mean, std = channel_statistics(X)
    >>> mean.tolist(), std.tolist()
    ([0.5, 0.0, 0.0], [0.5, 1.0, 1.0])
    """
    scale = 255.0 if X.dtype == np.uint8 else 1.0
    n_pixels, block = math.prod(X.shape[:3]), max(1, PIXELS_AT_ONCE // math.prod(X.shape[1:3]))
    mean = sum(X[i : i + block].sum(axis=(0, 1, 2), dtype=np.float64) for i in range(0, len(X), block)) / n_pixels
    variance = np.zeros(X.shape[3])
    for i in range(0, len(X), block):
        deviation = X[i : i + block].astype(np.float64) - mean
        variance += np.square(deviation, out=deviation).sum(axis=(0, 1, 2)) / n_pixels
    std = np.sqrt(variance) / scale
    return mean / scale, np.where(std > 0, std, 1.0)
