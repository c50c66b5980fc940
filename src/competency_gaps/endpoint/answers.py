"""Answers stored on disk as they arrive, so that nothing is paid for twice."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pydantic
from filelock import FileLock, Timeout

from competency_gaps.checked import CHECKSUM, check_document, parse_document, with_checksum
from competency_gaps.endpoint.request import Answer
from competency_gaps.errors import UserError
from competency_gaps.files import make_folder, no_space_left

log = logging.getLogger(__name__)
_ANSWER = pydantic.TypeAdapter(Answer)


class AnswerStore:
    r"""Answers by key in an append-only JSONL file, one a line, each on the disk before the next thing happens.

    A line holds a checksum of its answer.
    Lines end with ``\n`` alone; a text may hold any other line break. A last line that a kill cut off is left out
    with a warning and cut away before anything is appended; one that only lacks its line break is kept.
    Only answers are kept, not failures: what failed is asked again. Of several answers with one key the last counts.

    Parameters
    ----------
    path : Path
        The file; made with the first answer.

    Raises
    ------
    UserError
        If a line other than a cut-off last one holds no answer, or another than was written: the file is damaged, or
        another kind of file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, Answer] = {}
        self._read_to = 0
        self._lines = 0
        self._file: int | None = None
        self._warned = False
        if path.is_dir():
            raise UserError(f"{str(path)!r} is a folder: expected the name of a file for the answers. Give another.")
        self._read()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str) -> Answer | None:
        """The answer to the request with this key; None: not answered yet."""
        return self._answers.get(key)

    def forget(self, key: str) -> None:
        """Count a request as not answered, until another answer is added; the file keeps its lines.

        The last answer of a key counts, so that one added later replaces the one forgotten. Without one the old answer
        is there again when the file is next opened.
        """
        self._answers.pop(key, None)

    def add(self, answer: Answer) -> None:
        """Keep an answer; when this returns it is on the disk.

        Raises
        ------
        ValueError
            If it is none (:attr:`Answer.answered`) or has no key.
        MachineError
            If the disk is full; what was there stays whole.
        UserError
            If another process writes to the file.
        """
        if not answer.answered or not answer.key:
            raise ValueError(f"only an answer with a key can be kept, not {answer.id!r}")
        with self.writing():
            line = json.dumps(with_checksum(asdict(answer))).encode("ascii") + b"\n"
            self._append(line)
            self._answers[answer.key] = answer

    @contextlib.contextmanager
    def writing(self) -> Iterator[AnswerStore]:
        """Hold the file against other processes while the body runs, and read what they added before.

        Raises
        ------
        UserError
            If another process holds it.
        """
        if self._file is not None:
            yield self
            return
        make_folder(self.path.parent)
        with no_space_left(self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        lock = FileLock(f"{self.path}.lock", blocking=False)
        try:
            lock.acquire()
            tail = self._read()
            if tail is not None:
                self._mend(tail)
            yield self
        except Timeout as error:
            raise UserError(
                f"another process is writing answers to {str(self.path)!r}: expected one at a time, or requests "
                "would be paid for twice. Wait for it or stop it."
            ) from error
        finally:
            lock.release()
            os.close(self._file)
            self._file = None

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        with no_space_left(self.path):
            try:
                os.lseek(self._file, self._read_to, os.SEEK_SET)
                left = memoryview(data)
                while left:
                    left = left[os.write(self._file, left) :]
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, self._read_to)
                raise
        self._read_to += len(data)
        self._lines += data.count(b"\n")

    def _mend(self, tail: bytes) -> None:
        assert self._file is not None
        os.ftruncate(self._file, self._read_to)
        with contextlib.suppress(ValueError):
            answer = _answer_of(tail)
            self._append(tail + b"\n")
            self._answers[answer.key] = answer

    def _read(self) -> bytes | None:
        """Read the lines that are new; give back what stands after the last line break, None if nothing does."""
        if not self.path.exists():
            return None
        with self.path.open("rb") as handle:
            handle.seek(self._read_to)
            for line in handle:
                if not line.endswith(b"\n"):
                    return self._unfinished(line)
                self._lines += 1
                try:
                    answer = _answer_of(line)
                except ValueError as error:
                    raise UserError(
                        f"{str(self.path)!r}, line {self._lines}: {error}; expected an answer as this program keeps "
                        f"it. If this file is a store of answers, delete the line (its request is asked again); "
                        f"otherwise name another file."
                    ) from None
                self._read_to += len(line)
                self._answers[answer.key] = answer
        return None

    def _unfinished(self, line: bytes) -> bytes:
        try:
            answer = _answer_of(line)
        except ValueError:
            if not self._warned:
                self._warned = True
                log.warning(
                    "%s: the last line was cut off (a run was killed while it wrote); its request is asked again.",
                    self.path,
                )
        else:
            self._answers[answer.key] = answer
        return line


def _answer_of(line: bytes) -> Answer:
    """The answer on a line; ValueError says what is wrong with it."""
    try:
        held = parse_document(line)
        fields = {key: value for key, value in held.items() if key != CHECKSUM}
        answer = _ANSWER.validate_json(json.dumps(fields), strict=True)
    except ValueError:  # pydantic's errors too
        raise ValueError("no JSON object with the fields of an answer") from None
    check_document(held)
    if not answer.answered or not answer.key:
        raise ValueError("an answer without key or text")
    return answer
