"""Other people's lists of weaknesses beside a run: what their examples say, and which slices go with them."""

from competency_gaps.matching.match import Lacked, Matched, Matching, Rate, Tie, match, read_matchings
