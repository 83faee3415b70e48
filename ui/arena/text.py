"""The texts of the Arena tab."""

from __future__ import annotations

# setting up
SEED = "Seed"
SEED_INFO = "Controls randomness. Leave empty for a random seed."
SEED_WRONG = "The seed must be an integer between {low:,} and {high:,}."
SWAP = "Swap seats"
SUSPENSE = "Hide what offers are worth until the end"
PICK_AN_AGENT = "Lane {number}: pick an agent for each role."
START = "Start"
CHANGE = "Change set-up"
VERSUS = "vs"
STALE = "The lanes show an earlier set-up. Start runs the new one; Rerun repeats what the lanes show."

# the recording that a visit begins with
RECORDED = "Recording"
RECORDED_ABOUT = "A recording of an earlier negotiation. Start runs a new one, live."
REPLAY = "▶ Play the recording"
REPLAY_END = "Skip to the end"
LINK = "Link to this negotiation"

# presets: a name, and what the visitor can learn from it
PRESET = "Question"
PRESET_NONE = "Your own set-up"
PRESETS = {
    "practice": (
        "What does practice do?",
        "In lane 1, a small chat model bargains with a firm script. In lane 2 the same model does, after an hour "
        "and a half of practice on made-up negotiations: it read what a careful bargainer would think, offer and say.",
    ),
    "gives_in": (
        "Who gives in first?",
        "Scripted characters. In lane 1, two Hardheads hold out until the end. In lane 2, a Pleaser, who gives in "
        "early, meets a Hardhead. What does patience earn, and what does it risk?",
    ),
    "decides": (
        "Who decides?",
        "In lane 1 the small model decides for itself. In lane 2 the same model only puts a firm strategy into words. "
        "Watch what that does to the deal.",
    ),
    "temperatures": (
        "Two temperatures",
        "The same model twice: once it sticks to its most likely words, once it speaks more freely.",
    ),
    "baseline": (
        "Model or script?",
        "Does the model do better than a few lines of code that give in early?",
    ),
    "mirrored": ("Mirrored", "The same two agents with their seats swapped: is it the agent, or is it the role?"),
}
PRESET_STRONGER = "Against {name}"
STRONGER = {
    "ready": "A stronger model plays in lane 2.",
    "remote": "A stronger model plays in lane 2. It is served remotely.",
    "download": (
        "A stronger model plays in lane 2. It is downloaded on first use: about {size}. It needs about {memory} of "
        "memory."
    ),
}
PRESET_IMPOSSIBLE = "Not possible here now: {name} {reason}."

# the vote
BLIND = "Hide names and worth until I vote, and shuffle the lanes"
VEILED = "Who plays in which lane is hidden until you have voted."
VOTE_CHOICES = {"1": ("1", "Lane 1"), "2": ("2", "Lane 2"), "tie": ("=", "Equally well"), "neither": ("0", "Neither")}
VOTED = "Your vote: {mine}."
VOTE_AGREES, VOTE_DIFFERS = "The points agree.", "The points say otherwise."
VOTE_NOTHING = "There is nothing to vote on here."
NEXT = "Next pair"

# running again
AGAIN = "Rerun"
AGAIN_GONE = "One of these negotiations was deleted and cannot be rerun. Press Start instead."
RUNNING = "Stop the running negotiation first."
REPEATS = "A rerun repeats word for word: both sides are scripted."
VARIES = "A rerun may word things differently: both lanes share the machine."

# the paired comparison
PAIRS = "Which of the two is better?"
PAIRS_ABOUT = (
    "One negotiation says little. In each pair, the two agents that differ between the lanes play the same opponent in "
    "both roles, with the same seed. Pairs run in the background; look and stop whenever you like, without spoiling "
    "the result. An interval appears after five pairs."
)
PAIRS_COUNT = "More pairs"
PAIRS_RUN = "Run pairs"
PAIRS_WRONG = "Run between 1 and {most} pairs at a time."
PAIRS_NONE = "Pairs compare two agents against one opponent, so the lanes must differ in exactly one agent."
PAIRS_OF = "{first} against {second}, both playing {opponent} on: {scenario}. Seeds {low} to {high}, both seats."
PAIRS_PROGRESS = "{done} of {goal} negotiations"
PAIRS_SURE = "{name} gets {by} more per negotiation (95 % interval {low} to {high}, {pairs})."
PAIRS_UNSURE = "{name} gets {by} more so far, but that may be chance (95 % interval {low} to {high}, {pairs})."
PAIRS_FIXED = "{name} gets {by} more per negotiation, every time: chance has no part in what two scripts do."
PAIRS_FIXED_EQUAL = "Both agents get the same, every time: chance has no part in what two scripts do."
PAIRS_ONCE = "{name} gets {by} more in this pair. A second pair shows whether the scripts always repeat it."
PAIRS_SAME = "Both agents always made the same moves."
PAIRS_REPEAT = "Every pair repeats the same moves, so more pairs would add nothing."
PAIRS_UNKNOWN = "It is too early to estimate how many more pairs are needed."
PAIRS_ENOUGH = "That is enough to tell them apart."
PAIRS_NOTHING = "No pair is complete yet."
PAIRS_FAILED = "Failed negotiations: {count} ({reason})"


def pairs(count: int) -> str:
    """Return a number of pairs in words."""
    return "one pair" if count == 1 else f"{count:,} pairs"


def more_pairs(count: int) -> str:
    """Return how many more pairs are needed."""
    return f"About {'one more pair is' if count == 1 else f'{count:,} more pairs are'} needed to tell them apart."
