"""What an officer's SDS asks back of who hears it: a delivery report, SDS-ACK, LIP acknowledgement. Sans-IO."""

from __future__ import annotations

import msgspec

from drivers.tetra import sds
from drivers.tetra.lip_long import LongReport
from drivers.tetra.pei import SdsIndication
from gateway.domain.events import Event, TextReport
from gateway.domain.ids import Issi
from gateway.errors import WireError
from gateway.ports import Outgoing

RECEIVED = 0x00
_RECEIPT_ASKED, _ACK_ASKED = 1, 8


def owed(heard: SdsIndication, own_issi: int | None) -> Outgoing | None:
    """The answer to send once the message is durable, or None; a message to a group is answered by nobody.

    Always the standard report, also where the short one is recommended: it alone was seen on a PEI (clause 29.4.2).
    """
    caller = None if heard.calling is None else heard.calling.ssi
    if not caller or heard.doubt or not to_us(heard, own_issi):
        return None
    try:
        message = sds.decode(heard.service, heard.bits)
    except WireError:
        return None
    return _owed(message, Issi(caller))


def to_us(heard: SdsIndication, own_issi: int | None) -> bool:
    """Whether it was sent to this terminal alone, as far as is known."""
    called = None if heard.called is None else heard.called.ssi
    return None in {called, own_issi} or called == own_issi


def unasked(event: Event) -> Event:
    """A text to a group: nobody answers it, when it is dealt with neither."""
    return msgspec.structs.replace(event, receipt=None) if isinstance(event, TextReport) else event


def _owed(message: sds.Sds, to: Issi) -> Outgoing | None:
    if isinstance(message, sds.Text | sds.Fragment) and message.header is not None:
        header = message.header
        if header.delivery_report_request & _RECEIPT_ASKED:
            return Outgoing(
                f"report/{to}/{header.reference}",
                to,
                "report",
                value=RECEIVED,
                protocol=message.pid,
                reference=header.reference,
            )
    elif isinstance(message, sds.Delivery) and not message.acknowledgement and message.control & _ACK_ASKED:
        name, reference = f"ack/{to}/{message.reference}", message.reference
        return Outgoing(name, to, "report_ack", value=message.status, protocol=message.pid, reference=reference)
    elif isinstance(message, sds.Lip) and isinstance(message.pdu, LongReport) and message.pdu.fields.get("ack_request"):
        return Outgoing(f"lip-ack/{to}", to, "location_ack")
    return None
