"""Dates, times and durations (RFC 3339)."""

from sampler.grammar.text.leap_seconds import ANYWHERE, NEXT_DAY, SAME_DAY, LeapSecond
from sampler.grammar.text.parts import Parts
from sampler.grammar.text.terms import Term, TermPool


def date(pool: TermPool) -> Term:
    """A day of the years 0001 to 9999."""
    parts = Parts(pool)
    digit = parts.one_of("0-9")
    month_31 = parts.either(
        parts.sequence("0", parts.one_of("13578")), parts.sequence("1", parts.one_of("02"))
    )
    month_30 = parts.either(parts.sequence("0", parts.one_of("469")), "11")
    day_28 = parts.either(
        parts.sequence("0", parts.one_of("1-9")),
        parts.sequence("1", digit),
        parts.sequence("2", parts.one_of("0-8")),
    )
    days = parts.either(
        parts.sequence("02-", day_28),
        parts.sequence(month_30, "-", parts.either(day_28, "29", "30")),
        parts.sequence(month_31, "-", parts.either(day_28, "29", "30", "31")),
    )
    return parts.either(
        parts.sequence(_year(parts), "-", days), parts.sequence(_leap_year(parts), "-02-29")
    )


def time(pool: TermPool) -> Term:
    """A time with its offset from UTC; a minute has 61 seconds before midnight in UTC only."""
    leap = pool.automaton(ANYWHERE, LeapSecond.start)
    return pool.alternation([_usual_time(Parts(pool)), leap])


def date_time(pool: TermPool) -> Term:
    """A day and a time; a minute has 61 seconds at the end of June and December in UTC only."""
    parts = Parts(pool)
    mark, year = parts.one_of("Tt"), _year(parts)
    leap = [
        parts.sequence(year, parts.either(*days), mark, pool.automaton(when, LeapSecond.start))
        for when, days in ((SAME_DAY, ("-06-30", "-12-31")), (NEXT_DAY, ("-07-01", "-01-01")))
    ]
    return parts.either(parts.sequence(date(pool), mark, _usual_time(parts)), *leap)


def duration(pool: TermPool) -> Term:
    """A span of time (appendix A)."""
    parts = Parts(pool)
    digits = parts.repeat(parts.one_of("0-9"), 1)

    def units(names: str) -> Term:
        """Numbers of units that follow one another, beginning and ending anywhere."""
        chains = [
            parts.sequence(*(parts.sequence(digits, name) for name in names[first:last]))
            for first in range(len(names))
            for last in range(first + 1, len(names) + 1)
        ]
        return parts.either(*chains)

    clock = parts.sequence("T", units("HMS"))
    calendar = parts.sequence(units("YMD"), parts.optional(clock))
    return parts.sequence("P", parts.either(calendar, clock, parts.sequence(digits, "W")))


def _year(parts: Parts) -> Term:
    digit, above = parts.one_of("0-9"), parts.one_of("1-9")
    return parts.either(
        parts.sequence(digit, digit, digit, above),
        parts.sequence(digit, digit, above, "0"),
        parts.sequence(digit, above, "00"),
        parts.sequence(above, "000"),
    )


def _leap_year(parts: Parts) -> Term:
    digit = parts.one_of("0-9")
    fourth = parts.either(
        parts.sequence("0", parts.one_of("48")),
        parts.sequence(parts.one_of("2468"), parts.one_of("048")),
        parts.sequence(parts.one_of("13579"), parts.one_of("26")),
    )
    return parts.either(parts.sequence(digit, digit, fourth), parts.sequence(fourth, "00"))


def _usual_time(parts: Parts) -> Term:
    digit, to_59 = parts.one_of("0-9"), parts.one_of("0-5")
    hour = parts.either(
        parts.sequence(parts.one_of("01"), digit), parts.sequence("2", parts.one_of("0-3"))
    )
    minute = parts.sequence(hour, ":", to_59, digit)
    fraction = parts.optional(".", parts.repeat(digit, 1))
    offset = parts.either(parts.one_of("Zz"), parts.sequence(parts.one_of("+-"), minute))
    return parts.sequence(minute, ":", to_59, digit, fraction, offset)
