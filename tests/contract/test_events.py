from pathlib import Path

from webapp.contract.events import Evaluated, PhaseMoved, append_event, read_events


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = [PhaseMoved(phase="loading", sentence="Loading."), Evaluated(step=1, epoch=0.5, loss=2.0)]
    for event in events:
        append_event(path, event)
    assert read_events(path) == (events, path.stat().st_size)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append_event(path, Evaluated(step=1, epoch=1, loss=2.0))
    _events, offset = read_events(path)
    append_event(path, Evaluated(step=2, epoch=2, loss=1.0))
    events, _offset = read_events(path, offset)
    assert [event.step for event in events if isinstance(event, Evaluated)] == [2]


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append_event(path, Evaluated(step=1, epoch=1, loss=2.0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    events, offset = read_events(path)
    assert len(events) == 1
    with path.open("ab") as file:
        file.write(whole[20:])
    assert len(read_events(path, offset)[0]) == 1


def test_no_file_is_no_event(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none.jsonl") == ([], 0)
