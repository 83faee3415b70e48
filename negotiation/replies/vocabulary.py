"""Find which issues, and which of their values, a text names in a scenario's own words.

Texts are in plain form (words.py). What the words leave open is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from negotiation.replies.amounts import Amounts, Mention
from negotiation.replies.issue_words import COMMON, IssueWords, clause, placed, tokens
from negotiation.replies.words import plain
from negotiation.scenario.issue import Value
from negotiation.scenario.model import Scenario, Seat

_SHARE = re.compile(r"(\d+) percent")


class Vocabulary:
    """The words of a scenario. `nouns` are all that may be counted in it, for `words.sentences`."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._words = IssueWords(scenario)
        self._amounts = Amounts(scenario, self._words)
        self._forms = self._option_forms(self._words.used)
        names = "|".join(re.escape(plain(role.name)) for role in scenario.roles.values())
        titles = "|".join(re.escape(plain(issue.title)) for issue in scenario.issues.values() if issue.title)
        self._no_option = re.compile(rf"(?:^|, )(?:{names})(?=[,;.?!]|$)" + (rf"|\b(?:{titles}):" if titles else ""))
        self.nouns = self._words.nouns

    def issues_in(self, text: str) -> list[str]:
        """Return the issues that a text names, by their own words or by an option, in order and each once."""
        found = [*self._words.named_in(text), *((mention.start, mention.issue) for mention in self.options_in(text))]
        return list(dict.fromkeys(name for _, name in sorted(found)))

    def values_in(self, text: str, seat: Seat, share_of: Seat | None = None) -> list[Mention]:
        """Return the values that a text names, in order.

        Args:
            text: The text.
            seat: Who wrote it.
            share_of: Whose share of something divided a number is if the text does not say; None if it may be either's.
        """
        found = [*self.options_in(text), *self._amounts.amounts_in(text, seat, share_of)]
        numbers = [
            mention
            for mention in self._amounts.numbers_in(text, seat, share_of)
            if not any(known.start <= mention.start < known.end for known in found)
        ]
        return sorted([*found, *numbers], key=lambda mention: mention.start)

    def options_in(self, text: str) -> list[Mention]:
        """Return the options that a text names, in order, except in titles and where a role is spoken to."""
        found: list[Mention] = []
        others = [match.span() for match in self._no_option.finditer(text)]
        for form, places in self._forms.items():
            for match in re.finditer(rf"(?<![\w-])(?:{form})(?![\w-])", text):
                taken = [*others, *((mention.start, mention.end) for mention in found)]
                if any(match.start() < end and start < match.end() for start, end in taken):
                    continue
                clear = [(name, option) for name, option, vague in places if not vague]
                named = clear[:1] or [place[:2] for place in places if place[0] == self._near(text, match, places)]
                found += [Mention(name, self._same(name, o), match.start(), match.end()) for name, o in named]
        return sorted(found, key=lambda mention: mention.start)

    def _option_forms(self, used: set[str]) -> dict[str, list[tuple[str, str, bool]]]:
        """Return the patterns of all options, longest first, with issue, option, and whether it is too vague alone."""
        listed = [(name, option) for name, issue in self.scenario.issues.items() for option in issue.options or ()]
        prose = " ".join([self.scenario.story, *(role.briefing for role in self.scenario.roles.values())]).lower()
        words_of = {option: tokens(plain(option, self._words.nouns)) for _, option in listed}
        often = Counter(word for _, option in listed for word in set(words_of[option]))
        forms: defaultdict[str, list[tuple[str, str, bool]]] = defaultdict(list)
        for name, option in listed:
            words = words_of[option]
            telling = {word for word in words if often[word] == 1 and len(word) > 3 and word not in COMMON | used}
            telling |= {word for word in words if often[word] == 1 and word.isdigit()}
            forms[re.escape(plain(option, self._words.nouns))].append(
                (name, option, bool(words) and not telling and not words[0].isdigit())
            )
            two, starts = words[:2], [other[:2] for one, other in words_of.items() if one != option]
            if len(words) > 2 and two not in starts and (telling & set(two) or not COMMON & set(two)):
                forms[re.escape(" ".join(two))].append((name, option, not telling & set(two)))
            if len(words) > 1:
                for word in telling - set(tokens(prose)):
                    forms[rf"(?:the|an?|your|our|my) {word}"].append((name, option, False))
        return dict(sorted(forms.items(), key=lambda form: -len(form[0])))

    def _near(self, text: str, match: re.Match[str], places: list[tuple[str, str, bool]]) -> str | None:
        """Return the issue that a vague option belongs to: the one that is named last before it, or right behind it."""
        reach = 12 if len(match[0]) <= 3 else 40
        names = dict.fromkeys(name for name, _, _ in places)
        before = text[max(0, match.start() - reach) : match.start()]
        behind = re.split(r"[,;:]", text[match.end() : clause(text, match.start())[1]])[0]
        for _, word in [*reversed(placed(before)), *(placed(behind) if len(match[0]) > 3 else [])]:
            if found := [name for name in names if self._words.names(name, word)]:
                return found[0]
        return None

    def _same(self, name: str, option: str) -> frozenset[Value]:
        """Return an option with the one that says the same of the other side's share, as 40 and 60 percent do."""
        shares = {
            int(share[1]): other for other in self.scenario.issues[name].options or () if (share := _SHARE.match(other))
        }
        given = _SHARE.match(option)
        return frozenset([option, shares.get(100 - int(given[1]), option)]) if given else frozenset([option])
