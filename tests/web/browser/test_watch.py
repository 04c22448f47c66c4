"""What every test here relies on: a page that errs or asks elsewhere does not go unseen."""

import pytest

from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("misdeed", "seen"),
    [
        ("console.error('oh')", "error: oh"),
        ("setTimeout(() => { throw new Error('oh') })", "exception"),
        ("void fetch('https://outside.invalid/').catch(() => 0)", "Content Security Policy"),
        ("void (new Image().src = 'https://outside.invalid/i.png')", "Content Security Policy"),
    ],
)
def test_a_misdeed_of_the_page_is_noticed(viewer: Viewer, misdeed: str, seen: str) -> None:
    viewer.open("trip")
    with (
        viewer.page.expect_event("console")
        if "throw" not in misdeed
        else (viewer.page.expect_event("pageerror"))
    ):
        viewer.page.evaluate(misdeed)
    with pytest.raises(AssertionError, match=seen):
        viewer.watch.check()
    viewer.watch.faults.clear()
