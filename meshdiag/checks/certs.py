"""Certificates: can they be seen, how long do they last, for whom are they, who vouches for them, are they strong, and
is what a node's metric says of its own so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.catalog import CERT_EXPIRY, Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.certificates.answers import answer, none_read
from meshdiag.checks.readings.certificates.gathering import CONTEXTS_OWN, EXPIRY, LASTING, look
from meshdiag.checks.readings.certificates.truth import judge_truth, served_certificates
from meshdiag.model import Threshold, Verdict, at_most

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.certificates.gathering import Options, Seen

PRESENT = "not looked at: a server shows the certificate of now, not of the moment that was asked about"


@check(
    "certs.readable",
    title="every certificate that should be there can be read",
    needs=("certificates",),
    runbook="certificate-expiry",
    hint="try it from the node's own machine: from here it is not reached, speaks no TLS, or the file is damaged",
)
async def readable(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Outcome:
    """Whether each server showed a certificate and each file held one."""
    return await _answer(inputs, options, "certs.readable", "can be read")


@check(
    EXPIRY,
    title="every certificate is valid for a while yet",
    needs=("certificates",),
    runbook="certificate-expiry",
    hint="renew it and make its server load it; who meets it refuses it from the day it expires",
    threshold=LASTING,
    unit=Unit.DAYS,
)
async def expiry(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Outcome:
    """Days that are left of each certificate, chains included."""
    return await _answer(inputs, options, EXPIRY, "valid")


@check(
    "certs.host",
    title="every server's certificate names the host that it is asked as",
    needs=("certificates",),
    runbook="certificate-trust",
    hint="have it issued for the name or address that its clients use, as a subject alternative name",
)
async def host(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Outcome:
    """Whether what each server shows is a certificate for that server."""
    return await _answer(inputs, options, "certs.host", "names its host", served=True)


@check(
    "certs.chain",
    title="every certificate leads to a root that is trusted",
    needs=("certificates",),
    runbook="certificate-trust",
    hint="serve the intermediates with it; a private authority is named by --ca-file, or peer_ca_file of the context",
)
async def chain(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Outcome:
    """Whether each chain, as it was sent, leads to a trusted root."""
    return await _answer(inputs, options, "certs.chain", "leads to a trusted root")


@check(
    "certs.strength",
    title="keys, signatures and protocol versions are strong",
    needs=("certificates",),
    runbook="certificate-trust",
    hint="have it issued anew with an EC key or RSA of 2048 bits, and SHA-256; allow TLS from version 1.2 on",
)
async def strength(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Outcome:
    """Weak keys and signatures, old protocol versions, lives that are too long."""
    return await _answer(inputs, options, "certs.strength", "strong")


async def _answer(inputs: Inputs, options: Options, id_: str, good: str, *, served: bool = False) -> Outcome:
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    return answer(await look(inputs, options), id_, good, served=served)


@check(
    "certs.metric-truth",
    title="a node's metric tells of the certificate that it serves",
    needs=("metrics", "certificates"),
    runbook="certificate-expiry",
    hint="make the node load its certificate (reload or restart, one node at a time), then look again: meshdiag certs",
    threshold=Threshold(warn=at_most(1)),
    unit=Unit.DAYS,
)
async def metric_truth(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Outcome:
    """The days that each node's metric tells against those of the certificate on its peer port."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    query = CERT_EXPIRY.selector(inputs.context.job)
    roster = await inputs.living()
    seen: Seen = await look(inputs, options)
    told = await inputs.metrics.instant(query, inputs.at)
    evidence = inputs.metrics.evidence(query, inputs.at)
    if not told.samples:
        absence = await inputs.metrics.why_empty(query, inputs.at)
        return Outcome(verdict=Verdict.UNKNOWN, summary=absence.message, evidence=(evidence,))
    if not any(served_certificates(seen)):
        raise none_read(seen)
    outcome = judge_truth(seen, roster, told, inputs.threshold, inputs.now)
    return replace(outcome, evidence=(evidence, *outcome.evidence))
