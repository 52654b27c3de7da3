"""`python -m webapp.styles`: make static/css/app.css anew after a template, script or app.css has changed."""

import os
import sys
from pathlib import Path

from webapp.styles.stylesheet import DAISYUI, STYLESHEET, CannotBuild, stylesheet_build


def main() -> int:
    cache_home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    try:
        css = stylesheet_build(cache_home / "graftwork" / f"styles-{DAISYUI}")
    except CannotBuild as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    STYLESHEET.parent.mkdir(parents=True, exist_ok=True)
    STYLESHEET.write_text(css, "utf-8")
    print(f"{STYLESHEET}: {len(css) / 1000:.1f} kB")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
