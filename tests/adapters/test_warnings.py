from __future__ import annotations

import warnings

warnings.warn("as a framework that is imported", DeprecationWarning, stacklevel=1)


def test_what_a_framework_warns_of_is_no_error_of_ours() -> None:
    warnings.warn("as a framework that is used", DeprecationWarning, stacklevel=1)
