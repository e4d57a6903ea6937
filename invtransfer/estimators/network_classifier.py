"""The classifier on which `InvariantPretrainer` and `FineTuner` are built: weights, features and predictions."""

import copy

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.estimators.inputs import validate_input
from invtransfer.images.checks import check_count
from invtransfer.networks.devices import resolve_device
from invtransfer.networks.inference import compute_outputs
from invtransfer.networks.weights import assign_weights, read_weights
from invtransfer.randomness import derive_seed
from invtransfer.sources.transformed_images import TransformedImages
from invtransfer.surroundings import usual_torch
from invtransfer.transformations import get_transformations


class NetworkClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """Classify images with a network with a linear head, whose weights are kept as NumPy arrays.

    A subclass has the parameters `transformations`, `batch_size`, `learning_rate`, `device`, `image_shape`,
    `random_state` and `checkpoint`. Its `fit` sets `classes_` and `image_shape_`, and ends with `_keep`.
    """

    def _derive_seed(self, stage):
        """Return the seed of one stage of `fit`, which must be the same again if there is a checkpoint."""
        if self.checkpoint is not None and self.random_state is None:
            raise ValueError(
                f"random_state is None, expected a number with checkpoint={self.checkpoint!r}: started again, training"
                " would draw other numbers and could not continue from the file"
            )
        return derive_seed(self.random_state, stage)

    def _keep(self, network, recipe):
        """Keep the weights of a trained network, which cannot be used afterwards.

        The `recipe` has the arguments of `build_network` that make it again; None: the module is kept without weights.
        """
        vars(self).pop("_network", None)  # that of an earlier fit, if this is an opened copy
        self.weights_ = {name: value.cpu().numpy() for name, value in read_weights(network).items()}
        self.layer_ = getattr(network.backbone, "description", "output of the module")
        self._n_features_out = network.head.in_features
        if recipe is None:
            # a copy without the weights, which `weights_` has: the given module may be changed after the fit
            assign_weights(network.cpu(), {name: value.to("meta") for name, value in read_weights(network).items()})
            self._architecture = network
        else:
            self._architecture = recipe

    def _transformed(self, X, seed):
        """Return a function from the number of an epoch to its images, or None if they are always the same."""
        chosen = () if self.transformations is None else get_transformations(self.transformations)
        if not chosen:
            return None
        if X.shape[3] != 3:
            raise ValueError(
                "transformations act on images, but X is rows of pixels: give image_shape=(height, width, 3)"
            )
        source = TransformedImages.from_checked(X, chosen, random_state=seed)
        return lambda epoch: source.sample(len(X), start=epoch * len(X))[0]

    @usual_torch()
    def module(self):
        """Return the trained network as a torch module on the CPU.

        Returns
        -------
        module : torch.nn.Sequential
            Network with the parts `normalise`, `backbone` (from images to features) and `head`. It takes float images
            in [0, 1] of shape (n_samples, 3, height, width). Each call returns a new module, so changes to it do not
            affect the estimator.
        """
        check_is_fitted(self)
        if isinstance(self._architecture, nn.Module):
            network = copy.deepcopy(self._architecture)
        else:
            network = build_network(n_classes=len(self.classes_), image_shape=self.image_shape_, **self._architecture)
        # copied in C order: that of training rounds differently, and pickles do not keep it
        assign_weights(network, {name: torch.from_numpy(value.copy()) for name, value in self.weights_.items()})
        return network.eval()

    def opened(self):
        """Return a copy that keeps its network, for many calls of `transform`, each of which would make it anew.

        Returns
        -------
        opened : estimator
            Shallow copy; itself, if it keeps its network already.
        """
        if "_network" in vars(self):
            return self
        opened = copy.copy(self)
        opened._network = self.module().to(resolve_device(self.device))
        return opened

    def _check_batch_size(self, n_samples):
        """Return a batch size with which no batch is a single image, for which batch norm has no statistics."""
        batch_size = check_count(self.batch_size, "batch_size", low=2)
        # batches of 2 would leave one image of an odd number over; if the largest has 3, the smallest has 2
        return 3 if batch_size == 2 and n_samples % 2 else batch_size

    @usual_torch()
    def _outputs(self, X, network):
        X = validate_input(self, X, reset=False)
        outputs = compute_outputs(network, X)
        if not np.isfinite(outputs).all():
            raise ValueError(
                f"the network's outputs are not finite: its training diverged, lower learning_rate={self.learning_rate}"
            )
        return outputs

    def transform(self, X):
        """Compute the features of images: the pooled output of the backbone, unless another `layer` was chosen.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
            Images of the shape seen in fit.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out), float32

        Raises
        ------
        ValueError
            If `X` is not as described, or the features are not finite because the training diverged.
        """
        return self._outputs(X, self.opened()._network[:-1])

    def predict_proba(self, X):
        """Compute the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
            Images of the shape seen in fit.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64

        Raises
        ------
        ValueError
            If `X` is not as described, or the outputs are not finite because the training diverged.
        """
        return softmax(self._outputs(X, self.opened()._network).astype(np.float64), axis=1)

    def predict(self, X):
        """Return the most probable label of each image.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
            Images of the shape seen in fit.

        Returns
        -------
        y : ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            As `predict_proba`.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def __sklearn_is_fitted__(self):
        """Tell whether `fit` has been completed."""
        return hasattr(self, "weights_")

    def __sklearn_tags__(self):
        """Declare that features are float32, whatever the dtype of the images."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
