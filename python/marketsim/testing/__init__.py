"""Contract checks for your own models, strategies and stores, to call in your tests.

Example:
    @pytest.mark.parametrize("check", testing.MODEL_CHECKS)
    def test_my_model(check):
        testing.check_model(MyModel, only=check)

    @pytest.mark.parametrize("check", testing.STORE_CHECKS)
    def test_my_store(check, tmp_path):
        testing.check_store(lambda: MyStore(tmp_path), only=check)
"""

from marketsim.testing.models import MODEL_CHECKS, ModelContractError, check_model
from marketsim.testing.store import STORE_CHECKS, StoreContractError, check_store

__all__ = [
    "MODEL_CHECKS",
    "STORE_CHECKS",
    "ModelContractError",
    "StoreContractError",
    "check_model",
    "check_store",
]
