"""For the tests of `labctl.testing`."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("cluster_contract")
