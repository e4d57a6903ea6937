"""Random numbers come from a seed and the name of a stream, never from a global generator."""

import zlib

import numpy as np


def derive_generator(seed, stream, index=0):
    """Return the generator that belongs to a seed, a stream and an index.

    Parameters
    ----------
    seed : int
        Seed, at least 0.
    stream : str
        Name of what is drawn; the streams of a seed are independent.
    index : int
        Number of the part of the stream.

    Returns
    -------
    generator : numpy.random.Generator

    Examples
    --------
    >>> one, same = derive_generator(0, "objects"), derive_generator(0, "objects")
    >>> bool(one.random() == same.random() != derive_generator(0, "backgrounds").random())
    True
    """
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(stream.encode()), int(index)]))


def derive_seed(random_state, stage):
    """Return the seed of one stage of work, derived from an estimator's `random_state` and the stage's name.

    Parameters
    ----------
    random_state : int, RandomState or None
        As in scikit-learn, except that None takes entropy from the operating system, not from a global generator.
    stage : str
        Name of the stage; with the same `random_state`, different stages draw different numbers.

    Returns
    -------
    seed : int

    Raises
    ------
    ValueError
        If `random_state` is anything else, or an int outside [0, 2**32 - 1].

    Examples
    --------
    >>> derive_seed(0, "pretraining") == derive_seed(0, "pretraining") != derive_seed(0, "sensitivity")
    True
    """
    from sklearn.utils.validation import check_random_state  # here, so that cubes load no scikit-learn

    if random_state is None:
        entropy = np.random.SeedSequence().entropy
    else:
        try:
            entropy = check_random_state(random_state).randint(2**31)
        except ValueError as error:
            raise ValueError(
                f"random_state is {random_state!r}, expected an int from 0 to 2**32 - 1, a RandomState or None"
            ) from error
    return int(np.random.SeedSequence([entropy, zlib.crc32(stage.encode())]).generate_state(1)[0])
