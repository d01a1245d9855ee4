"""What evaluate measures, depending on which images, masks and good images there are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.vqi.made import data_report, features_record, finetune_record, images_record
from vqi.artifacts.data_report import MaskProblem
from vqi.artifacts.detector import DetectorArtifact
from vqi.artifacts.features import Calibration, FeatureMaps, Features
from vqi.artifacts.images import Images, IndexRow
from vqi.artifacts.left_out import LeftOut, Unreadable
from vqi.config import Evaluate, PcaFit
from vqi.detectors.registry import fit_detector
from vqi.errors import VqiError
from vqi.evaluation import Evaluation, evaluate, mask_of
from vqi.pages.contents import report_of, warnings_of

SETTINGS = Evaluate(bootstrap=100, examples=2)
SHAPE = (3, 4, 4)
SIDE = 8


def category(
    train: int = 30, good: int = 6, bad: int = 4, masks: int = 4, shift: float = 0.0
) -> tuple[Images, Features]:
    """Features of a plane in noise; a defect is a corner that leaves it. ``shift`` moves the good test images too."""
    random = np.random.default_rng(0)
    basis = random.normal(size=(3, 48))

    def normal(count: int) -> Any:
        return (random.normal(size=(count, 3)) @ basis + random.normal(0, 0.05, (count, 48))).astype(np.float32)

    test = normal(good + bad).reshape(-1, *SHAPE)
    test[:good] += np.float32(shift) * random.normal(size=(good, *SHAPE)).astype(np.float32)
    test[good:, :, :2, :2] += random.normal(0, 5, (bad, 3, 2, 2)).astype(np.float32)
    corner = np.zeros((masks, SIDE, SIDE), np.bool_)
    corner[:, : SIDE // 2, : SIDE // 2] = True
    index = [
        IndexRow(f"train/good/{i}.png", "train", 0, "good", None, f"{i:016x}" + 48 * "0", i, i) for i in range(train)
    ]
    index += [IndexRow(f"test/good/{i}.png", "test", 0, "good", None, "", 0, 0) for i in range(good)]
    index += [IndexRow(f"test/bad/{i}.png", "test", 1, "bad", i if i < masks else None, "", 0, 0) for i in range(bad)]
    pixels = random.integers(0, 256, (len(index), SIDE, SIDE, 3), np.uint8)
    images = Images(pixels, corner, index, images_record(image_size=SIDE))
    made = FeatureMaps((normal(train).reshape(-1, *SHAPE),)), FeatureMaps((test,))
    return images, Features(made[0], np.arange(train), made[1], features_record())


def with_calibration(images: Images, count: int) -> Images:
    """The same with images for calibration behind them."""
    index = [
        IndexRow(f"calibration/good/{i}.png", "calibration", 0, "good", None, f"c{i:015x}" + 48 * "0", 100 + i, 100 + i)
        for i in range(count)
    ]
    return replace(images, images=np.resize(images.images, (len(images.index) + count, SIDE, SIDE, 3)),
                   index=[*images.index, *index])  # fmt: skip


def evaluated(target_fpr: float = 0.05, **given: Any) -> tuple[Evaluation, Images, DetectorArtifact]:
    images, features = category(**given)
    detector = fit_detector(features, PcaFit(kind="pca", target_fpr=target_fpr))
    return evaluate(images, features, detector, SETTINGS), images, detector


def test_all_figures() -> None:
    evaluation, images, detector = evaluated()
    figures = evaluation.metrics
    assert (figures.category, figures.test_images, figures.test_good, figures.test_anomalous) == ("part", 10, 6, 4)
    assert (figures.image_auroc, figures.recall, figures.oracle_accuracy) == (1.0, 1.0, 1.0)
    assert figures.pixel_auroc > 0.95
    assert figures.aupro > 0.8
    assert figures.threshold == detector.record.threshold.value
    assert [row.decision for row in evaluation.scores] == [
        int(r.score > detector.record.threshold.value) for r in evaluation.scores
    ]
    assert [images.index[row].path for row in evaluation.rows] == [row.path for row in evaluation.scores]


def test_the_scores_that_set_the_threshold_are_kept_with_their_images() -> None:
    evaluation, images, detector = evaluated(train=30)
    kept = evaluation.metrics.held_out
    assert kept is not None
    assert kept.images == tuple(row.sha256[:16] for row in images.index[:30])
    assert kept.parts == tuple(range(30))
    assert list(kept.scores) == detector.calibration_scores.tolist()
    images, features = category(train=30)
    apart = Calibration(features.test.rows(slice(6)), np.arange(6), np.arange(6))
    artifact = fit_detector(replace(features, calibration=apart), PcaFit(kind="pca"))
    kept = evaluate(with_calibration(images, 6), features, artifact, SETTINGS).metrics.held_out
    assert kept is not None
    assert (kept.images[0], kept.parts[0], len(kept.scores)) == ("c000000000000000", 100, 6)
    with pytest.raises(VqiError, match="a threshold of 6 good images does not belong to 30: run the steps of one"):
        evaluate(images, features, artifact, SETTINGS)
    alone = replace(images, images=images.images[30:], index=images.index[30:])
    assert evaluate(alone, features, artifact, SETTINGS).metrics.held_out is None, "photographs from elsewhere"


def test_pixel_figures_only_where_masks_are() -> None:
    assert evaluated(masks=0)[0].metrics.pixel_auroc is None
    assert evaluated(masks=0)[0].metrics.aupro is None
    assert evaluated(masks=0)[0].metrics.image_auroc == 1.0


def test_a_defective_image_without_a_mask_is_not_measured_as_good() -> None:
    """Its defect would count as false alarms: the pixel figures must be as if the image did not exist."""
    images, features = category(bad=4, masks=2)
    detector = fit_detector(features, PcaFit(kind="pca"))
    with_both = evaluate(images, features, detector, SETTINGS).metrics
    fewer = replace(images, images=images.images[:-2], index=images.index[:-2])
    without = evaluate(fewer, replace(features, test=features.test.rows(slice(-2))), detector, SETTINGS).metrics
    assert with_both.pixel_auroc == without.pixel_auroc is not None
    assert with_both.aupro == without.aupro
    assert with_both.test_anomalous == 4


@pytest.mark.parametrize(
    ("good", "bad", "known"),
    [
        (0, 0, set()),
        (5, 0, {"accuracy", "false_alarm_rate"}),
        (0, 5, {"accuracy", "recall", "f1"}),
    ],
)
def test_what_cannot_be_measured_is_none(good: int, bad: int, known: set[str]) -> None:
    evaluation, images, detector = evaluated(good=good, bad=bad, masks=0)
    figures = evaluation.metrics
    assert figures.image_auroc is figures.image_auroc_low is figures.image_auroc_high is None
    names = {"accuracy", "false_alarm_rate", "recall", "f1", "oracle_accuracy"}
    assert {name for name in names if getattr(figures, name) is not None} == known
    assert figures.threshold > 0
    assert figures.summary().category == "part"
    assert "<html" in report_of(evaluation, images, detector, data_report(), SETTINGS)


def test_parts_that_do_not_belong_together() -> None:
    images, features = category()
    detector = fit_detector(features, PcaFit(kind="pca"))
    with pytest.raises(VqiError, match=r"features of 9 test images do not belong to 10 test"):
        evaluate(images, replace(features, test=features.test.rows(slice(9))), detector, SETTINGS)
    other = FeatureMaps((features.test.layers[0].reshape(-1, 48, 1, 1),))
    with pytest.raises(
        VqiError, match=r"expected features of these shapes .*, got \(\(48, 1, 1\),\): run the steps of"
    ):
        evaluate(images, replace(features, test=other), detector, SETTINGS)


# ----------------------------------------------------------------------------------------------------------- warnings


def test_too_few_good_images() -> None:
    evaluation, _, _ = evaluated(train=10, target_fpr=0.05)
    assert warnings_of(evaluation, data_report()) == [
        "A false-alarm rate of 5 % needs at least 19 good images to calibrate; there are 10. The threshold is "
        "an estimate from a curve fitted to their scores; their scores alone promise 9.1 %."
    ]
    assert "The threshold is the highest score of a good image" in warnings_of(evaluated(train=4)[0], data_report())[0]
    assert warnings_of(evaluated(train=30)[0], data_report()) == []


def test_too_few_images_for_calibration_and_what_else_is_there() -> None:
    images, features = category(train=30)
    apart = Calibration(features.test.rows(slice(6)), np.arange(6), np.arange(6))
    images = with_calibration(images, 6)
    features = replace(features, calibration=apart)
    artifact = fit_detector(features, PcaFit(kind="pca"))
    evaluation = evaluate(images, features, artifact, SETTINGS)
    (warning,) = warnings_of(evaluation, data_report(train_groups=30, calibration_groups=6))
    assert warning.endswith(
        "there are 6. The threshold is an estimate from a curve fitted to their scores; their scores alone promise "
        "14.3 %. Without calibration/good, 30 groups of training images would set it."
    )
    page = report_of(evaluation, images, artifact, data_report(), SETTINGS)
    assert "6 scores of good images for calibration, by the model itself, which has not seen them." in page
    assert "the model saw none of them, so this bound is exact" not in page.replace("\xa0", " "), "of an estimate"
    (warning,) = warnings_of(evaluation, data_report(train_groups=18, calibration_groups=6))
    assert warning.endswith("promise 14.3 %.")


def test_the_bound_of_enough_images_for_calibration_is_exact() -> None:
    images, features = category(train=30, good=40)
    apart = Calibration(features.test.rows(slice(40)), np.arange(40), np.arange(40))
    images = with_calibration(images, 40)
    features = replace(features, calibration=apart)
    artifact = fit_detector(features, PcaFit(kind="pca", target_fpr=0.2))
    evaluation = evaluate(images, features, artifact, SETTINGS)
    page = report_of(evaluation, images, artifact, data_report(), SETTINGS)
    assert "the model saw none of them, so this bound is exact" in page.replace("\xa0", " ")


def test_sub_folders_that_were_taken_for_groups() -> None:
    images, features = category(train=30)
    artifact = fit_detector(replace(features, groups=np.arange(30) // 10), PcaFit(kind="pca"))
    evaluation = evaluate(images, features, artifact, SETTINGS)
    (warning,) = warnings_of(evaluation, data_report(grouped_by_folder=True))
    assert warning.endswith("set group_by to none.")


def test_good_test_images_that_are_unlike_those_for_calibration() -> None:
    images, features = category(good=20, shift=3.0)
    apart = Calibration(features.train.rows(slice(15, 30)), np.arange(15), np.arange(15))
    fewer = replace(features, train=features.train.rows(slice(15)), groups=np.arange(15), calibration=apart)
    images = with_calibration(images, 15)
    evaluation = evaluate(images, fewer, fit_detector(fewer, PcaFit(kind="pca", target_fpr=0.1)), SETTINGS)
    (warning,) = warnings_of(evaluation, data_report())
    assert warning.endswith("the good test images differ from the good calibration images.")


def test_good_images_that_differ_systematically_are_named_with_the_wider_threshold() -> None:
    images, features = category(train=60, good=40, bad=0, masks=0, shift=3.0)
    apart = Calibration(features.test, np.arange(40), np.arange(40))
    images = with_calibration(images, 40)
    features = replace(features, calibration=apart)
    artifact = fit_detector(features, PcaFit(kind="pca"))
    evaluation = evaluate(images, features, artifact, SETTINGS)
    (warning,) = warnings_of(evaluation, data_report())
    assert warning.startswith("The images for calibration score systematically higher than training images: in ")
    assert "(Mann-Whitney test of 40 and 30 parts or groups, p = " in warning
    assert f"The threshold in use, {evaluation.threshold.value:.4g}, is the higher one of both" in warning
    (tuned,) = warnings_of(evaluation, data_report(), finetuned=True)
    assert "or the fine-tuned backbone knows the training images" in tuned
    assert warning in report_of(evaluation, images, artifact, data_report(), SETTINGS).replace("\xa0", " ")


@pytest.mark.parametrize(("folder", "called"), [("3", "in train/good/3"), ("", "that belong with train/good/45.png")])
def test_a_group_of_training_images_that_differs_is_named(folder: str, called: str) -> None:
    images, features = category(train=60, good=15, bad=0, masks=0, shift=3.0)
    vectors = np.concatenate([features.train.layers[0][:45], features.test.layers[0]])
    groups = np.arange(60) // 15
    index = [
        replace(row, group=int(groups[n]), path=f"train/good/{folder}/{n}.png" if folder and n >= 45 else row.path)
        for n, row in enumerate(images.index[:60])
    ]
    images = replace(images, index=[*index, *images.index[60:]])
    mixed = replace(features, train=FeatureMaps((vectors,)), groups=groups, parts=np.arange(60))
    artifact = fit_detector(mixed, PcaFit(kind="pca", target_fpr=0.3))
    warning = warnings_of(evaluate(images, mixed, artifact, SETTINGS), data_report())[0]
    assert warning.startswith(f"The training images {called} score systematically higher than the others: in ")


def test_good_test_images_that_are_unlike_the_training_images() -> None:
    (warning,) = warnings_of(evaluated(good=20, shift=3.0)[0], data_report())
    assert warning.startswith("100.0 % of the good test images were flagged, more than chance explains (")
    assert warning.endswith("the good test images differ from the good training images.")


def test_what_is_wrong_with_the_pixels_comes_first() -> None:
    said = ("4095 is taken as white", "3 of 12 good images are nearly black")
    few = evaluated(train=10, target_fpr=0.05)
    assert warnings_of(few[0], data_report(image_warnings=said))[:2] == list(said)
    assert said[1] in report_of(*few, data_report(image_warnings=said), SETTINGS)


def test_the_most_unusual_good_photographs_are_shown_with_what_a_model_that_had_not_seen_them_says() -> None:
    images, features = category(train=30)
    evaluation = evaluate(images, features, artifact := fit_detector(features, PcaFit(kind="pca")), SETTINGS)
    scores = artifact.calibration_scores
    assert [one.score for one in evaluation.unusual] == sorted(scores, reverse=True)[: SETTINGS.examples]
    assert [scores[one.row] for one in evaluation.unusual] == [one.score for one in evaluation.unusual]
    page = report_of(evaluation, images, artifact, data_report(), SETTINGS)
    assert "Are these really good?" in page
    assert all(images.index[one.row].path in page for one in evaluation.unusual)


def test_unreadable_images_are_mentioned() -> None:
    one_file = Unreadable(path="a.png", reason="empty")
    (warning,) = warnings_of(evaluated()[0], data_report(unreadable=(one_file, one_file)))
    assert warning == "2 images could not be read: left out here, and listed under Data."
    (one,) = warnings_of(evaluated()[0], data_report(unreadable=(one_file,)))
    left = LeftOut(
        category="part", reason="sub-folder", files=2, endings={".png": 2}, examples=("part/train/good/x/1.png",)
    )
    hidden = LeftOut(category="part", reason="hidden", files=1, endings={}, examples=("part/.x",))
    mask = MaskProblem(path="ground_truth/cut/1_mask.png", problem="it is inverted")
    masks, missing = warnings_of(evaluated()[0], data_report(left_out=(hidden, left), mask_problems=(mask,)))
    assert masks.startswith(
        "1 problem with masks, listed on the data page, for example ground_truth/cut/1_mask.png: it is"
    )
    assert missing.startswith(
        "Not used: 2 images outside the layout, in sub-folders, for example part/train/good/x/1.png"
    )
    assert one.startswith("1 image could not be read")


def test_fine_tuning_that_did_harm_is_said() -> None:
    """The features before fine-tuning were good, those after it are noise."""
    images, features = category(train=40, good=20, bad=20)
    random = np.random.default_rng(1)

    def noise(maps: FeatureMaps) -> FeatureMaps:
        return FeatureMaps((random.normal(size=maps.layers[0].shape).astype(np.float32),))

    made = features_record(finetune=finetune_record(held_out=(0, 7, 31)))
    tuned = Features(
        noise(features.train), features.groups, noise(features.test), made, (features.train, features.test)
    )
    evaluation = evaluate(images, tuned, fit_detector(tuned, PcaFit(kind="pca")), SETTINGS)
    figures = evaluation.metrics
    assert figures.parent_image_auroc is not None
    assert figures.image_auroc is not None
    assert figures.parent_image_auroc > 0.95 > 0.8 > figures.image_auroc
    assert figures.parent_held_out_fre_ratio is not None
    assert figures.held_out_fre_ratio is not None
    assert figures.held_out_fre_ratio > 1.5 * figures.parent_held_out_fre_ratio
    found = warnings_of(evaluation, data_report())
    assert any(one.startswith("Fine-tuning made held-out good images harder to describe") for one in found)
    assert any("less well than its pretrained parent" in one for one in found)
    better = Features(features.train, features.groups, features.test, made, (tuned.train, tuned.test))
    assert (
        warnings_of(evaluate(images, better, fit_detector(better, PcaFit(kind="pca")), SETTINGS), data_report()) == []
    )


# ---------------------------------------------------------------------------------------------------------------- maps


def test_masks() -> None:
    images, _ = category()
    assert not mask_of(images, 0).any()
    assert mask_of(images, 36)[:4, :4].all()
