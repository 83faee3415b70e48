"""The status strip shows what is loaded, loading, busy, waiting and failed."""

from __future__ import annotations

from manager.state import LoadProgress, State
from manager.status.snapshot import DeviceStatus, QueueStatus, Snapshot, WeightsStatus
from ui.drawing.model_strip import strip_html
from ui.kit import text

ROW = WeightsStatus(
    weights="w",
    model_ids=("m",),
    state=State.COLD,
    reason="",
    device="cpu",
    bytes=0,
    need=None,
    leases=0,
    waiting=0,
    pinned=False,
    remote=False,
    progress=None,
    retry_in=None,
    load_seconds=2.0,
)
LABELS = {"m": "Model M", "n": "Model N"}


def strip(*rows: WeightsStatus, queue: tuple[QueueStatus, ...] = ()) -> str:
    device = DeviceStatus("cpu", 1, 2, 269_000_000, 8_000_000_000, 0)
    return strip_html(Snapshot(version=1, at=0.0, weights=rows, devices=(device,), queue=queue), LABELS)


def test_every_state_has_words() -> None:
    assert "loads on first use" in strip(ROW)
    assert "ready, 269 MB" in strip(ROW._replace(state=State.RESIDENT, bytes=269_000_000))
    assert "busy × 2" in strip(ROW._replace(state=State.RESIDENT, leases=2))
    assert "unloading" in strip(ROW._replace(state=State.DRAINING))
    assert "parked in host memory, 538 MB" in strip(ROW._replace(state=State.PARKED, host=538_000_000))
    failed = strip(ROW._replace(state=State.FAILED, reason="no <such> repository", retry_in=4.2))
    assert "failed" in failed
    assert "no &lt;such&gt; repository" in failed


def test_remote_models_show_the_state_of_their_server() -> None:
    far = ROW._replace(remote=True, device="remote", state=State.RESIDENT, reason="answers")
    assert "<span>responding</span>" in strip(far)
    assert "<em>" not in strip(far)
    assert "<em>" not in strip(far._replace(reason="last error: one request broke")), "the others need not care"
    down = strip(far._replace(state=State.FAILED, reason="HTTP 503", retry_in=12.4))
    assert "failed, next try in 12 s" in down
    assert "HTTP 503" in down


def test_the_health_of_a_remote_server_ages() -> None:
    far = ROW._replace(remote=True, device="remote", state=State.RESIDENT, reason="answers", answered=5.0)
    assert 'class="chip resident"' in strip(far)
    old = strip(far._replace(answered=600.0))
    assert "<span>last answer 10 min ago</span>" in old
    assert 'class="chip resident"' not in old


def test_loading_shows_bytes_and_a_bar() -> None:
    loading = strip(ROW._replace(state=State.LOADING, progress=LoadProgress("loading", 120_000_000, 240_000_000, 1.0)))
    assert "120 MB of 240 MB" in loading
    assert 'value="50"' in loading
    fetching = strip(ROW._replace(progress=LoadProgress("fetching", 5_000_000, 0, 1.0)))
    assert "downloading the model: 5 MB" in fetching
    assert "<progress" not in fetching
    waking = strip(ROW._replace(state=State.WAKING, progress=LoadProgress("waking", 30_000_000, 120_000_000, 0.1)))
    assert "moving the model back to the GPU: 30 MB of 120 MB" in waking


def test_memory_and_queue_are_shown() -> None:
    shown = strip(
        ROW, queue=(QueueStatus("m", None, 1, 0.5), QueueStatus("m", None, 2, 0.1), QueueStatus("n", None, 3, 0.1))
    )
    assert "cpu: 1 of 2 models, 269 MB of 8.0 GB" in shown
    assert "waiting: Model M × 2, Model N" in shown
    assert "parked" not in shown
    parked = strip_html(
        Snapshot(version=1, at=0.0, weights=(ROW,), devices=(), queue=(), parked=538_000_000, parking=4_000_000_000),
        LABELS,
    )
    assert "parked: 538 MB of 4.0 GB of host memory" in parked


def test_a_closing_server_says_so() -> None:
    assert text.CLOSING not in strip_html(Snapshot(version=1, at=0.0, weights=(ROW,), devices=(), queue=()), LABELS)
    assert text.CLOSING in strip_html(
        Snapshot(version=1, at=0.0, weights=(ROW,), devices=(), queue=()), LABELS, closing=True
    )


def test_aliases_share_a_chip_and_many_cold_models_are_counted() -> None:
    labels = {"x-steady": "SmolLM2 135M, steady", "x-bold": "SmolLM2 135M, bold"}
    shared = ROW._replace(model_ids=("x-steady", "x-bold"), state=State.RESIDENT)
    assert "SmolLM2 135M (steady, bold)" in strip_html(
        Snapshot(version=1, at=0.0, weights=(shared,), devices=(), queue=()), labels
    )
    many = [ROW._replace(weights=str(number), model_ids=(f"m{number}",)) for number in range(5)]
    assert "5 models load on first use" in strip(*many)
    loaded = ROW._replace(weights="here", model_ids=("here",), state=State.RESIDENT)
    assert "5 more not loaded" in strip(loaded, *many)


def test_a_failed_attempt_is_shown_in_full_and_leaves_everyones_strip_after_the_cool_down() -> None:
    reason = "the repository asks you to accept its terms on the Hub first"
    failed = ROW._replace(state=State.FAILED, reason=reason, retry_in=5.0)
    assert f'title="{reason}"' in strip(failed)
    for over in (failed._replace(retry_in=None), ROW._replace(reason=reason)):
        assert reason not in strip(over)
        assert "One model loads on first use" in strip(over)
