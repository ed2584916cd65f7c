"""Checks for people who write their own models; use them in your tests.

import pytest
from marketsim import testing

@pytest.mark.parametrize("check", testing.MODEL_CHECKS)
def test_my_model(check):
testing.check_model(MyModel, only=check)
"""

from marketsim.testing.models import MODEL_CHECKS, ModelContractError, check_model

__all__ = ["MODEL_CHECKS", "ModelContractError", "check_model"]
