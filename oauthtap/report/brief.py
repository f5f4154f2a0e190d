"""A report cut short, for who reads it by the token: the cause and what speaks for it, or the newest so many rows."""

from __future__ import annotations

from oauthtap.report.model import Report


def brief(report: Report) -> Report:
    """Only how it ended, its causes, and the exchanges and findings that these name.

    The shape stays that of a report: what is left out is empty, as `not_checked`, `clients` and `deploy` are.
    """
    told = {cause.exchange for cause in report.causes}
    told |= {one.exchange for cause in report.causes for one in cause.evidence}
    told |= {report.refusal.exchange} if report.refusal else set()
    blamed = {(cause.rule, cause.exchange) for cause in report.causes}
    return report.model_copy(
        update={
            "exchanges": tuple(one for one in report.exchanges if one.id in told),
            "findings": tuple(one for one in report.findings if (one.rule, one.exchange) in blamed),
            "attempts": report.attempts[-2:],
            "not_checked": (),
            "clients": (),
            "promises": (),
            "deploy": None,
            "sign_ins": tuple(
                one.model_copy(update={"findings": tuple(f for f in one.findings if (f.rule, f.exchange) in blamed)})
                for one in report.sign_ins
            ),
        }
    )


def limited(report: Report, most: int) -> Report:
    """At most so many of each kind of row: exchanges, findings, causes and clients.

    The exchanges of the causes stay first, then the newest; findings stay in their order, the worst of them first.
    """
    kept = {one.id for one in brief(report).exchanges[:most]}
    newest = [one.id for one in report.exchanges if one.id not in kept]
    kept |= set(newest[max(0, len(newest) - (most - len(kept))) :]) if len(kept) < most else set()
    left_out = len(report.exchanges) - len(kept)
    notes = (*report.notes, f"{left_out} exchanges are left out (--limit {most}).") if left_out > 0 else report.notes
    return report.model_copy(
        update={
            "exchanges": tuple(one for one in report.exchanges if one.id in kept),
            "findings": report.findings[:most],
            "not_checked": report.not_checked[:most],
            "clients": report.clients[:most],
            "attempts": report.attempts[-most:],
            "notes": notes,
        }
    )
