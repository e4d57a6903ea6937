"""FrozenFeatureProbe, which fits a linear classifier to the features of a frozen encoder."""

import math
import warnings

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted
from torch import nn

from invtransfer.analysis.transferability import fit_scaler
from invtransfer.encoders.encoding import describe_features, encode_checked, open_encoder
from invtransfer.encoders.repeating import warn_if_features_vary
from invtransfer.estimators.frozen import AroundEncoder
from invtransfer.estimators.inputs import validate_input, validate_validation
from invtransfer.images.checks import check_count
from invtransfer.images.labels import FEW_SAMPLES, find_classes
from invtransfer.networks.architectures import initialise
from invtransfer.networks.optimizers import check_positive
from invtransfer.networks.training import train
from invtransfer.randomness import derive_seed
from invtransfer.surroundings import usual_torch

SOLVERS = ("lbfgs", "adam")
MAX_FEATURES = 4096  # of which a whole matrix is made: 128 MiB, and a minute for its eigenvectors
N_LEADING = 2048  # number of samples whose span is decorrelated where there are more features


class FrozenFeatureProbe(AroundEncoder, ClassifierMixin, BaseEstimator):
    """Fit a linear classifier on frozen features: how well does a representation transfer?

    The features of an encoder are computed once, standardised, and classified by multinomial logistic regression. The
    encoder is never changed, and is kept by `sklearn.base.clone` and cross-validation.

    Parameters
    ----------
    encoder : InvariantPretrainer, fitted transformer or pipeline, torch.nn.Module, callable or None
        Encoder from images to features, see `invtransfer.encoders.encode`. A torch module receives float tensors in
        [0, 1] of shape (n_samples, 3, height, width), so a normalisation of the images belongs in it; a function
        receives the array of images as given, uint8 or float of shape (n_samples, height, width, 3); a transformer
        receives each image as one row of the same values. None: the pixels are the features. Clones of the probe keep
        the encoder fitted. A search that tries several encoders clones them, too: wrap each in
        `sklearn.frozen.FrozenEstimator`.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `invtransfer.encoders.LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.
    solver : str
        "lbfgs" (the default), scikit-learn's `LogisticRegression`, which converges; or "adam", the paper's, which takes
        steps on batches for a number of `epochs`.
    C : float
        Inverse strength of the L2 penalty of "lbfgs", as in scikit-learn; 100 by default. The paper's probe has no
        penalty; with C = 1, the default of scikit-learn, accuracy was up to 2 points below it.
    max_iter : int
        Largest number of iterations of "lbfgs"; a ConvergenceWarning tells if they were too few.
    epochs : int
        Number of passes of "adam" over the features.
    batch_size : int or None
        Number of samples per step of "adam". None: 512, as in the paper, or fewer if there are fewer than 50,000
        samples, so that an epoch has 98 steps, as in the paper.
    learning_rate : float
        Learning rate of "adam".
    image_shape : tuple of int or None
        Shape (height, width, 3) of the images if `X` holds flattened images, of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels, or of features that were saved, with no encoder.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which a torch module computes features where it can choose (autocast).
    random_state : int, RandomState or None
        Seed of the initial weights and the order of the samples of "adam"; "lbfgs" draws nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels seen in fit.
    coef_ : ndarray of shape (n_classes, n_features_out), float64
        Weights of the standardised features.
    intercept_ : ndarray of shape (n_classes,), float64
        Offsets of the classes.
    scaler_ : StandardScaler
        Mean and standard deviation of the features seen in fit.
    layer_ : str or None
        Where the features are taken in a torch module and how they are pooled, such as "input of fc", "output of
        layer3, mean over places" or "output of the module (pooler_output)"; None for other encoders.
    image_shape_ : tuple of int
        Shape (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.
    n_iter_ : int
        Number of iterations of "lbfgs", or of epochs of "adam".

    Notes
    -----
    The paper's protocol is "adam" with 200 epochs, a learning rate of 1e-3, and the epoch with the best validation
    accuracy if `X_val` is given. Two things are added, because without them it had not converged after 200 epochs.
    First, the standardised features are decorrelated, which changes the path of the steps but not the set of
    classifiers (`coef_` refers to the standardised features); of more than 4,096 features, only within the span of at
    most 2,048 of the samples (see `decorrelate_leading`), so that memory grows with n_samples * n_features and not with
    the square of n_features. Second, an epoch on fewer than 50,000 samples has as many steps as one on 50,000 (see
    `batch_size`). On the same features, the accuracies of the two solvers agree within half a percentage point; "lbfgs"
    is faster.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix B.2.

    Examples
    --------
    >>> from invtransfer import FrozenFeatureProbe, Transforms2D, load_objects
    >>> target = Transforms2D(load_objects("procedural")[:3], random_state=0)
    >>> probe = FrozenFeatureProbe(lambda X: X.mean(axis=(1, 2))).fit(*target.sample(100))
    >>> 0.33 < probe.score(*target.sample(100, start=100)) <= 1
    True
    """

    def __init__(
        self,
        encoder=None,
        *,
        layer=None,
        pool="auto",
        solver="lbfgs",
        C=100.0,
        max_iter=1000,
        epochs=200,
        batch_size=None,
        learning_rate=1e-3,
        image_shape=None,
        precision="float32",
        random_state=None,
    ):
        self.encoder = encoder
        self.layer = layer
        self.pool = pool
        self.solver = solver
        self.C = C
        self.max_iter = max_iter
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.precision = precision
        self.random_state = random_state

    def fit(self, X, y, X_val=None, y_val=None):
        """Compute the features once, then fit the classifier on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
            Images; or an array of shape (n_samples, n_features), see `image_shape`.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like or None
            Validation data of the same kind: "adam" keeps the epoch with the best accuracy on them. "lbfgs", which
            converges, checks but does not use them.

        Returns
        -------
        self : FrozenFeatureProbe

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, the encoder has no such layer, or it does not return one
            finite row per image.
        TypeError
            If `encoder` is of a type that cannot be used.

        Warns
        -----
        UserWarning
            If the encoder gives the same images different features each time or in a different batch.
        """
        X, y = validate_input(self, X, y, reset=True)
        self.classes_, codes = find_classes(y)
        X_val, codes_val = validate_validation(self, X_val, y_val)
        return self._fit(X, codes, X_val, codes_val)

    def _fit(self, X, codes, X_val, codes_val):
        """Fit on images and class indices that were checked by `fit` or by a `FineTuner`."""
        if self.solver not in SOLVERS:
            raise ValueError(f"solver is {self.solver!r}, expected one of: {', '.join(SOLVERS)}")
        self._check_numbers()
        encoder = open_encoder(self.encoder, self.layer, self.pool)
        Z = encode_checked(encoder, X, precision=self.precision)
        warn_if_features_vary(encoder, X, precision=self.precision)
        self.layer_ = describe_features(encoder)
        self.scaler_ = fit_scaler(Z)
        Z = self.scaler_.transform(Z)
        if self.solver == "lbfgs":
            self._fit_lbfgs(Z, codes)
        else:
            Z_val = None if X_val is None else self.scaler_.transform(self._encode(X_val))
            self._fit_adam(Z, codes, Z_val, codes_val)
        return self

    def _check_numbers(self):
        """Check the parameters of both solvers, so that a mistake shows whichever is used."""
        check_count(self.max_iter, "max_iter")
        check_count(self.epochs, "epochs")
        if self.batch_size is not None:
            check_count(self.batch_size, "batch_size")
        check_positive(self.learning_rate, "learning_rate")
        inverse = self.C
        if inverse != math.inf:  # which means no penalty
            check_positive(inverse, "C")

    @usual_torch()
    def _fit_adam(self, Z, codes, Z_val, codes_val):
        generator = torch.Generator().manual_seed(derive_seed(self.random_state, "probing"))
        classifier = nn.Linear(Z.shape[1], len(self.classes_), device="meta").to_empty(device="cpu")
        initialise(classifier, generator)
        if Z.shape[1] <= MAX_FEATURES:
            matrix = decorrelate(Z)
            multiply, multiply_back = (lambda rows: rows @ matrix), (lambda rows: rows @ matrix.T)
        else:
            multiply = multiply_back = decorrelate_leading(Z)  # the matrix, which is symmetric, would fill the memory
        batch_size = min(512, math.ceil(len(Z) / 98)) if self.batch_size is None else self.batch_size
        train(
            classifier,
            multiply(Z),
            codes,
            X_val=None if Z_val is None else multiply(Z_val),
            y_val=codes_val,
            epochs=self.epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            generator=generator,
        )
        self.coef_ = multiply_back(classifier.weight.detach().double().numpy())
        self.intercept_ = classifier.bias.detach().double().numpy()
        self.n_iter_ = self.epochs

    def _encode(self, X):
        return encode_checked(self.encoder, X, layer=self.layer, pool=self.pool, precision=self.precision)

    def _fit_lbfgs(self, Z, codes):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", FEW_SAMPLES)
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(Z, codes)
        if classifier.n_iter_.max() >= self.max_iter:  # one line instead of scikit-learn's eight
            warnings.warn(
                f"the probe has not converged after max_iter={self.max_iter}", ConvergenceWarning, stacklevel=4
            )
        coef, intercept = classifier.coef_.astype(np.float64), classifier.intercept_.astype(np.float64)
        if len(self.classes_) == 2:  # scikit-learn keeps one row of weights, the second class against the first
            coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.append(0.0, intercept)
        self.coef_, self.intercept_ = coef, intercept
        self.n_iter_ = int(classifier.n_iter_.max())

    def predict_proba(self, X):
        """Compute the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
            Images of the shape seen in fit.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        check_is_fitted(self)
        X = validate_input(self, X, reset=False)
        Z = self.scaler_.transform(self._encode(X))
        return softmax(Z @ self.coef_.T + self.intercept_, axis=1)

    def predict(self, X):
        """Return the most probable label of each image.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
            Images of the shape seen in fit.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def __sklearn_is_fitted__(self):
        """Tell whether `fit` has been called, whatever the encoder is."""
        return hasattr(self, "coef_")


def decorrelate(Z, ridge=0.1):
    """Compute a matrix that makes standardised features nearly uncorrelated.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Features with mean 0 and standard deviation 1.
    ridge : float
        Number that is added to all eigenvalues of the correlations, so that directions without variance are not
        amplified.

    Returns
    -------
    matrix : ndarray of shape (n_features, n_features), float32
        Symmetric matrix; the product of the features and the matrix is nearly uncorrelated.

    Examples
    --------
    >>> decorrelate(np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]), ridge=0.0).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    eigenvalues, directions = np.linalg.eigh(Z.T.astype(np.float64) @ Z / len(Z))
    return (directions / np.sqrt(eigenvalues.clip(0) + ridge) @ directions.T).astype(np.float32)


def decorrelate_leading(Z, ridge=0.1, n_leading=N_LEADING):
    """Make a function that decorrelates standardised features in the span of some samples, without a whole matrix.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Features with mean 0 and standard deviation 1.
    ridge : float
        As in `decorrelate`.
    n_leading : int
        Largest number of samples whose span is decorrelated; of more samples, as many are taken at regular distances.

    Returns
    -------
    multiply : callable
        Function from rows, of shape (n_rows, n_features), to their product with a symmetric matrix, in the rows' dtype.
        With at most `n_leading` samples it is the matrix of `decorrelate`. With more, directions outside their span are
        scaled alike, by the mean variance of all samples there. Memory grows with n_features * n_leading.

    Examples
    --------
    >>> Z = np.array([[1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    >>> np.allclose(decorrelate_leading(Z)(np.eye(3)), decorrelate(Z))
    True
    """
    chosen = Z[np.linspace(0, len(Z) - 1, min(len(Z), n_leading)).astype(int)]
    gram = (precise := chosen.astype(np.float64)) @ precise.T
    eigenvalues, directions = np.linalg.eigh(gram)
    kept = eigenvalues > len(gram) * np.finfo(np.float32).eps * eigenvalues.max(initial=0.0)
    eigenvalues, directions = eigenvalues[kept], directions[:, kept]
    span = (directions / np.sqrt(eigenvalues)).T.astype(Z.dtype) @ chosen  # orthonormal rows
    outside = 0.0
    if len(chosen) < len(Z):
        inside = Z @ span.T
        n_outside = max(1, Z.shape[1] - len(span))
        outside = max(0.0, float(np.vdot(Z, Z) - np.vdot(inside, inside))) / len(Z) / n_outside
    rest = 1 / math.sqrt(outside + ridge)
    scales = 1 / np.sqrt(eigenvalues / len(chosen) + ridge) - rest

    def multiply(rows):
        product = (rows @ span.T * scales.astype(rows.dtype)) @ span
        product += rest * rows
        return product.astype(rows.dtype, copy=False)

    return multiply
