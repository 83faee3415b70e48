"""The module by which `verifiers` finds Parley's environment, since it looks for names without dots."""

from negotiation.gym.verifiers import BargainingEnv, BargainingTaskset, ChatHarness

__all__ = ["BargainingEnv", "BargainingTaskset", "ChatHarness"]
