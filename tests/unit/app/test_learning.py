"""The answer teaches it: which answers become photos, which do not, and that nothing waits for it."""

import threading
import time

import pytest

from app.learning import AnswerLearner, Lesson
from core.errors import ModelNotFound
from tests.dish_photos import plate
from tests.taught import FOODS, store_in, teach, teacher_for

BOX = (220.0, 80.0, 420.0, 280.0)


@pytest.fixture
def school(tmp_path):
    store = store_in(tmp_path)
    teach(store, "soup")
    teach(store, "peas")
    closing = threading.Event()
    made: list[AnswerLearner] = []

    def learner(which="taught", make=None) -> AnswerLearner:
        made.append(AnswerLearner(make or (lambda: teacher_for(store)), which, closing))
        return made[-1]

    yield store, learner
    closing.set()
    for one in made:
        if one._thread is not None:
            one._thread.join(10)


def wait(true, what: str) -> None:
    deadline_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def photos(store, dish: str) -> int:
    return len(store.current().dishes[dish].photos) if dish in store.current().dishes else 0


def test_an_answer_is_a_photo_of_its_dish_and_can_be_taken_back(school):
    store, learner = school
    one = learner()
    one.take(Lesson("soup", plate(FOODS["soup"], seed=5), BOX, "ada"))
    wait(lambda: one.learnt == 1, "the lesson")
    assert photos(store, "soup") == 2
    assert store.history()[0].who == "answer of ada"
    store.undo("ada")
    assert photos(store, "soup") == 1


def test_the_same_picture_teaches_once(school):
    store, learner = school
    one = learner()
    for _ in range(2):
        one.take(Lesson("soup", plate(FOODS["soup"], seed=5), BOX, "ada"))
    wait(lambda: (one.learnt, one.left_out) == (1, 1), "both lessons")
    assert photos(store, "soup") == 2


@pytest.mark.parametrize(("which", "learns"), [("taught", 0), ("all", 1)])
def test_a_dish_of_the_menu_file_learns_only_where_all_do(school, which, learns):
    store, learner = school
    one = learner(which)
    one.take(Lesson("bread", plate(FOODS["rice"], seed=5), BOX, "ada"))
    wait(lambda: one.learnt + one.left_out == 1, "the lesson")
    assert one.learnt == learns
    assert photos(store, "bread") == learns


def test_a_dark_picture_teaches_nothing_and_ends_nothing(school):
    store, learner = school
    one = learner()
    one.take(Lesson("soup", plate(FOODS["soup"], seed=5) // 30, BOX, "ada"))
    one.take(Lesson("peas", plate(FOODS["peas"], seed=5), BOX, "ada"))
    wait(lambda: one.learnt + one.left_out == 2, "both lessons")
    assert (photos(store, "soup"), photos(store, "peas")) == (1, 2)


def test_a_model_that_is_missing_is_said_and_tried_again(school, caplog):
    store, learner = school
    tries = []

    def make():
        tries.append(1)
        if len(tries) == 1:
            raise ModelNotFound("no card dish-embed@9")
        return teacher_for(store)

    one = learner(make=make)
    for seed in (5, 6):
        one.take(Lesson("soup", plate(FOODS["soup"], seed=seed), BOX, "ada"))
    wait(lambda: (one.learnt, one.left_out) == (1, 1), "both lessons")
    assert "no card dish-embed@9" in caplog.text


def test_answers_never_wait_for_lessons(school):
    _, learner = school
    going_on = threading.Event()

    def slow():
        going_on.wait(20)
        raise ModelNotFound("late")

    one = learner(make=slow)
    began_s = time.monotonic()
    for seed in range(40):
        one.take(Lesson("soup", plate(FOODS["soup"], seed=seed), BOX, "ada"))
    assert time.monotonic() - began_s < 5.0
    assert one.left_out >= 30
    going_on.set()
