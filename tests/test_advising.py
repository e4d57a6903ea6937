import numpy as np
import pytest
from estimator_checks import assert_all_pass, own
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from invtransfer import InvarianceAdvisor, Transforms2D, load_objects
from invtransfer.images.collection import ImageCollection


def make_task(transformations, n=200, n_classes=4, seed=0):
    return Transforms2D(load_objects("procedural")[:n_classes], transformations, random_state=seed).sample(n)


def test_scikit_learn_checks():
    assert_all_pass(InvarianceAdvisor(transformations=["h_flip"], n_draws=1, random_state=0), 41)


def test_advice_for_a_task_that_is_flipped():
    X, y = make_task(["h_flip"])
    names = ["h_flip", "translate", "v_flip"]
    advisor = InvarianceAdvisor(transformations=names, n_draws=2, random_state=0).fit(X, y)
    assert advisor.advice_.advice.to_dict() == {"h_flip": "encourage", "v_flip": "avoid", "translate": "avoid"}
    assert advisor.advised_ == ["h_flip"]
    assert str(advisor).endswith("pretrain with: h_flip")
    assert list(advisor.evidence_.view.values) == ["features"]


def test_numbers_do_not_depend_on_batches_or_on_how_images_come():
    X, y = make_task(["h_flip"], n=60)
    module, options = own(), {"transformations": ["h_flip", "blur"], "n_draws": 2, "random_state": 3}
    one = InvarianceAdvisor(module, **options).fit(X, y)
    other = InvarianceAdvisor(module, batch_size=7, **options)
    other = make_pipeline(FunctionTransformer(), clone(other)).fit(list(X), y.astype(str))[-1]
    assert one.layer_ == other.layer_ == "input of fc"
    np.testing.assert_allclose(one.evidence_.consistency, other.evidence_.consistency, atol=2 / len(X))
    np.testing.assert_allclose(one.evidence_.sensitivity, other.evidence_.sensitivity, atol=1e-4)


def test_sensitivity_does_not_depend_on_the_order_of_the_images():
    """Sorted images, as those of folders, would be compared with others of their class alone."""
    rng, y = np.random.default_rng(0), np.repeat(np.arange(3), 300)
    X = np.clip(rng.normal(60, 8, (900, 1, 1, 3)) + 70 * y[:, None, None, None], 0, 255).astype(np.uint8)
    X = np.tile(X, (1, 4, 4, 1))
    options = {"transformations": ["brightness"], "n_draws": 1, "random_state": 0}
    own, shuffled = (
        InvarianceAdvisor(lambda X: X.mean(axis=(1, 2)), **options).fit(X[rows], y[rows]).evidence_
        for rows in (np.arange(900), rng.permutation(900))
    )
    error = (own.sensitivity_high - own.sensitivity_low).item() / 3.92
    assert abs(own.sensitivity - shuffled.sensitivity).item() < 3 * np.sqrt(2) * error


def test_images_are_read_once_for_all_copies_of_a_transformation(monkeypatch):
    X, y = make_task([], n=40)
    read = []

    class Pictures:
        def __len__(self):
            return len(X)

        def __getitem__(self, i):
            read.append(i)
            return Image.fromarray(X[i])

    monkeypatch.setattr("invtransfer.estimators.advising.count_at_once", lambda *_: 10)
    monkeypatch.setattr("invtransfer.estimators.twins.count_at_once", lambda *_: 10)
    monkeypatch.setattr("invtransfer.images.collection.KEPT_BYTES", 10 * X[0].nbytes)
    images = ImageCollection(Pictures())
    InvarianceAdvisor(transformations=["blur", "hue"], n_draws=3, random_state=0).fit(images, y)
    assert np.bincount(read).max() <= 1 + 1 + 2  # the type of the first; as they are; two transformations


def test_classes_with_one_image():
    X, y = make_task([], n=20)
    single = np.where(np.arange(20) == 5, 9, y)
    with pytest.warns(UserWarning, match="y holds 1 of 5 classes with one image only, which are left out: 9"):
        advisor = InvarianceAdvisor(transformations=["blur"], random_state=0).fit(X, single)
    assert advisor.evidence_.attrs == {"n_images": 19, "n_classes": 4, "chance": np.bincount(y[single < 9]).max() / 19}
    with pytest.raises(ValueError, match="y holds one class only, 0"):
        InvarianceAdvisor().fit(X, np.zeros(20))
    with pytest.raises(ValueError, match="y has 0 of 20 classes with at least 2 images, expected at least 2 such"):
        InvarianceAdvisor().fit(X, np.arange(20))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transformations": []}, "transformations is empty, expected at least one, or None for all 18"),
        ({"n_draws": 0}, "n_draws is 0"),
        ({"n_folds": 1}, "n_folds is 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"layer": "fc"}, "layer is 'fc', expected None: encoder is of type NoneType"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        InvarianceAdvisor(**options).fit(*make_task([], n=12))


def test_a_transformation_that_changes_no_image():
    X, y = make_task(["h_flip"], n=40)
    grey = np.repeat(X.mean(axis=3, keepdims=True).astype(np.uint8), 3, axis=3).repeat(2, axis=1).repeat(2, axis=2)
    options = {"transformations": ["hue", "h_flip"], "n_draws": 1, "random_state": 0}
    advisor = InvarianceAdvisor(own(), **options).fit(grey, y)  # with pixels as a view of their own, shrunk to 32 x 32
    assert advisor.evidence_.different.values[0] == 0 < advisor.evidence_.different.values[1]
    assert advisor.advice_.advice["hue"] == "already ignored"


# groups of images


def make_patients(n_patients=24, n_images=8, seed=0):
    """Return noise with a colour of the patient's own, labels that say nothing of the images, and the patients."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n_patients), n_images)
    colours = rng.integers(40, 216, (n_patients, 1, 1, 3))[patients]
    X = np.clip(colours + rng.normal(0, 10, (len(patients), 8, 8, 3)), 0, 255).astype(np.uint8)
    order = rng.permutation(len(patients))
    return X[order], (patients % 2)[order], patients[order]


def test_a_probe_that_knows_the_patients_does_not_know_the_classes():
    X, y, patients = make_patients()
    options = {"encoder": lambda X: X.mean(axis=(1, 2)), "transformations": ["h_flip", "brightness"], "random_state": 0}
    alone = InvarianceAdvisor(**options).fit(X, y)
    assert alone.evidence_.accuracy.sel(view="features") > 0.8  # others of the patient were in the fit
    assert alone.evidence_.usable.all()
    grouped = InvarianceAdvisor(**options).fit(X, y, groups=[f"patient {i}" for i in patients])
    assert (grouped.evidence_.accuracy_low < 0.5).all()
    assert not grouped.evidence_.usable.any()
    assert (grouped.evidence_.accuracy_high - grouped.evidence_.accuracy_low > 0.25).all()  # over 24, not 192
    assert grouped.evidence_.attrs["n_groups"] == 24
    assert str(grouped).startswith("advice from 192 images of 2 classes in 24 groups; accuracy")
    assert set(grouped.advice_.advice) <= {"unknown", "already ignored"}


def test_groups_of_one_image_each_are_none():
    X, y = make_task(["h_flip"], n=60)
    options = {"transformations": ["h_flip"], "n_draws": 2, "random_state": 0}
    one, other = (InvarianceAdvisor(**options).fit(X, y, groups).evidence_ for groups in (None, np.arange(60)))
    assert one.n_effective == pytest.approx(60)
    assert other.n_effective == pytest.approx(60)
    assert one.sensitivity == other.sensitivity
    assert one.gain.item() == pytest.approx(other.gain.item(), abs=0.1)  # of other folds


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"] * 8, "groups holds one group only, 'a', expected at least 2"),
        (
            np.array([1, "a"] * 4, dtype=object),
            "groups holds values of several types, expected numbers or texts only: '<' not supported",
        ),
        (list("ab"), r"groups has shape \(2,\), expected \(8,\): one group per image"),
        ([*"aabbcc", None, "d"], "groups has none for 1 of 8 images, the first is image 6: give each a group"),
        (
            list("aaaabbbb"),
            "y has 0 of 2 classes with at least 2 groups, expected at least 2 such classes: one group to",
        ),
    ],
)
def test_groups_that_cannot_be(groups, message):
    X = np.random.default_rng(0).integers(256, size=(8, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=message):
        InvarianceAdvisor(transformations=["h_flip"]).fit(X, np.repeat([0, 1], 4), groups)


def test_equal_images_of_one_group_do_no_harm():
    X, y = make_task([], n=30)
    X, y = np.concatenate([X, X]), np.concatenate([y, y])
    advisor = InvarianceAdvisor(transformations=["h_flip"], n_draws=1, random_state=0)
    advisor.fit(X, y, groups=np.tile(np.arange(30), 2))
    with pytest.warns(UserWarning, match="30 of the 60 images in X are equal to others of other groups"):
        advisor.fit(X, y, groups=np.arange(60) % 59)
    with pytest.warns(UserWarning, match="too high; leave duplicates out; or give groups"):
        advisor.fit(X, y)


def test_rounding_is_no_copy():
    """Grey images of floats that are made grey are themselves but for the seventh digit."""
    X, y = make_task(["h_flip"], n=60)
    grey = np.repeat(X.mean(axis=3, keepdims=True, dtype=np.float32) / 255, 3, axis=3)
    advisor = InvarianceAdvisor(lambda X: 1e6 * X[:, 0], transformations=["grayscale", "hue"], random_state=0)
    evidence = advisor.fit(grey, y).evidence_
    assert (evidence.different == 0).all()
    assert (evidence.z == 0).all()
