"""What a radio and its officer do with short data sent to them."""

from firmware_stubs.sds import (
    CONSUMED,
    RECEIVED,
    Downlink,
    Frame,
    delivery_report,
    short_delivery_report,
    status,
)

EN_ROUTE, AT_SCENE = 5, 6
RECEIVED_AFTER_S, CONSUMED_AFTER_S, EN_ROUTE_AFTER_S, AT_SCENE_AFTER_S = 0.5, 2.0, 4.0, 14.0


def replies_to(down: Downlink, status_offset: int) -> list[tuple[float, Frame]]:
    """Delivery reports as they were asked for, then the officer sets out and arrives; with delays in seconds."""
    reference = down.reference
    if reference is None:
        return []
    report = short_delivery_report if down.short_form else delivery_report
    replies = []
    if down.report_request & 1:
        replies.append((RECEIVED_AFTER_S, report(down.called, reference, RECEIVED)))
    if down.report_request & 2:
        replies.append((CONSUMED_AFTER_S, report(down.called, reference, CONSUMED)))
    replies.append((EN_ROUTE_AFTER_S, status(down.called, status_offset + EN_ROUTE)))
    replies.append((AT_SCENE_AFTER_S, status(down.called, status_offset + AT_SCENE)))
    return replies
