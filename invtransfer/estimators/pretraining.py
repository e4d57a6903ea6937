"""InvariantPretrainer: a network trained to classify images whatever transformation they show."""

import numpy as np
import torch
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.estimators.labels import find_classes
from invtransfer.estimators.network_classifier import NetworkClassifier
from invtransfer.images import check_count, validate_input, validate_validation
from invtransfer.networks.training import train


class InvariantPretrainer(NetworkClassifier):
    """Train an encoder by classifying transformed images, which makes it invariant to their transformations.

    The transformations are those in the images given (`Transforms2D` draws such images), or those named in
    `transformations`, which are then drawn anew for every image in every epoch.

    Parameters
    ----------
    network : str or torch.nn.Module
        "resnet18", "resnet50", "densenet121", "vgg11" or "vit", for small images, with new weights; or a module of your
        own (torchvision's and timm's among them), of which a copy is trained, from the weights that it has, under a new
        linear head.
    width : float
        Multiple of a named network's standard numbers of channels; of "vit", of its heads. 1.0 for a module.
    layer : str or None
        Where the features are taken, under the new head: the name of a layer, as in ``named_modules()`` of the named
        network's backbone or of the module, whose output are the features, flattened; "" is the backbone's or module's
        own output. None: the pooled features of a named network; of a module what goes into its last linear layer, if
        the last layer with weights is one, else its output.
    transformations : sequence of str or Transformation
        Applied to whole images in training, in this order; validation and prediction see images as they are given. A
        second copy of the training images is held for it. () or None: none.
    epochs : int
        Passes over the training data; 0 leaves the weights that training starts from.
    batch_size : int
        Images per step, at least 2; where 2 would leave one image over, steps have up to 3.
    learning_rate : float
        Of Adam; the largest value if the schedule varies it.
    schedule : str
        "constant"; "one-cycle": up linearly over the first fifth of the steps, then down linearly to 0; "cosine": up
        over 5 epochs, but no more than a tenth of the steps, then down to 1 % along a cosine, the paper's for "vit";
        "linear": down linearly to 0 from the first step on.
    weight_decay : float
        L2 penalty of Adam.
    precision : str
        "float32", "bfloat16", or "auto": bfloat16 in training where the hardware computes it. Features and predictions
        are computed in float32; so is all else on a CPU if a stride exceeds its input (`strides_beyond_input`).
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".
    image_shape : tuple of int
        (height, width, 3) of the images, if `X` is given as flattened images of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels.
    random_state : int, RandomState or None
        Of initial weights, order of samples and transformations.
    checkpoint : path-like or None
        File that the state of training is written to, arrays and JSON and no pickle: after the first epoch, the last,
        and those between at which that takes at most a twentieth of the time. A fit with the same data and parameters
        goes on from it, after a kill, too, to the same weights as if it had never stopped; a fit with others refuses
        it. `random_state` has to be given. One file belongs to one training: leave it out in cross-validation. It stays
        when training is done, until you remove it. None: no file.
    verbose : bool
        Show a progress bar on stderr.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels seen in fit.
    weights_ : dict of str to ndarray
        The network's weights and statistics, on the CPU; `module` makes a torch module of them.
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
    The paper's settings are the defaults: 50 epochs, batches of 512, Adam with 1e-3, and the epoch with the best
    validation accuracy if `X_val` is given. Images are normalised with the training data's mean and standard deviation
    per channel, which the paper does not mention. A module of your own gets the normalised images, too, in training and
    afterwards, so leave a normalisation of its own out of it. Its layers whose weights do not require gradients stay as
    they are, statistics of batch norm included; its dropout is drawn from `random_state`. Pickles hold the weights as
    NumPy arrays (and a module given as `network` as it is: have it on the CPU). A pickle runs whatever code its maker
    put into it, so open only those that you trust; files of `save_encoder` cannot.

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
        self.precision = precision
        self.device = device
        self.image_shape = image_shape
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X, y, X_val=None, y_val=None):
        """Train from new initial weights, or from those of the module that was given, which is not changed.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
            Images; or of shape (n_samples, n_features), see `image_shape`.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like
            Validation data of the same kind: the epoch with the best accuracy on it is kept. None: the last.

        Returns
        -------
        self : InvariantPretrainer

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, the network cannot take images of that size, or the loss
            diverges.
        TypeError
            If `network` is a class.
        """
        X, y = validate_input(self, X, y, reset=True)
        self.classes_, codes = find_classes(y)
        X_val, codes_val = validate_validation(self, X_val, y_val)
        epochs, batch_size = check_count(self.epochs, "epochs", low=0), self._check_batch_size(len(X))
        seed = self._derive_seed("pretraining")
        generator = torch.Generator().manual_seed(seed)
        mean, std = channel_statistics(X)
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
            generator=generator,
            renew=self._transformed(X, seed),
            checkpoint=self.checkpoint,
            verbose=self.verbose,
        )
        self.n_iter_ = epochs
        named = not isinstance(self.network, nn.Module)
        self._keep(network, {"network": self.network, "width": self.width, "layer": self.layer} if named else None)
        return self


def channel_statistics(X, block=1024):
    """Compute mean and standard deviation of each channel, without a float copy of all images.

    Parameters
    ----------
    X : ndarray of shape (n_samples, height, width, n_channels)
        Images; uint8 counts as [0, 1].
    block : int
        Images that are converted at once.

    Returns
    -------
    mean, std : ndarray of shape (n_channels,), float64
        The std of a constant channel is 1.

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
    n_pixels = X.size // X.shape[3]
    mean = sum(X[i : i + block].sum(axis=(0, 1, 2), dtype=np.float64) for i in range(0, len(X), block)) / n_pixels
    variance = np.zeros(X.shape[3])
    for i in range(0, len(X), block):
        deviation = X[i : i + block].astype(np.float64) - mean
        variance += np.square(deviation, out=deviation).sum(axis=(0, 1, 2)) / n_pixels
    std = np.sqrt(variance) / scale
    return mean / scale, np.where(std > 0, std, 1.0)
