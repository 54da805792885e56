"""What talks to others and must not hold anybody up: it ends in time, or is left alone."""

import threading
from collections.abc import Callable


def within(seconds: float, work: Callable[[], str], name: str) -> str:
    """What `work` answers; where it does not within so many seconds, words that say so.

    A thread of its own does it: no timeout of a socket covers the look-up of a name, or an answer in drops.
    """
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(work()), name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if answers:
        return answers[0]
    return f"no answer within {seconds:g} s" if thread.is_alive() else "it ended without a word"
