"""Which pages of alerts are for whom."""

from __future__ import annotations

from tenants.models import Role

ALERT_ROUTES: dict[str, tuple[str, Role]] = {
    "alerts": ("alerts", Role.VIEWER),
    "alerts_live": ("alerts/live", Role.VIEWER),
    "alert": ("alerts/{alert}", Role.VIEWER),
    "alert_live": ("alerts/{alert}/live", Role.VIEWER),
    "alert_rules": ("alerts/rules", Role.VIEWER),
    "alert_rule_new": ("alerts/rules/new?kind=RUNS", Role.MEMBER),
    "alert_rule": ("alerts/rules/{rule}", Role.VIEWER),
    "alert_rule_delete": ("alerts/rules/{rule}/delete", Role.MEMBER),
    "alert_channels": ("alerts/channels", Role.VIEWER),
    "alert_channels_live": ("alerts/channels/live", Role.VIEWER),
    "alert_channel_new": ("alerts/channels/new?kind=SLACK", Role.ADMIN),
    "alert_channel": ("alerts/channels/{channel}", Role.ADMIN),
    "alert_channel_delete": ("alerts/channels/{channel}/delete", Role.ADMIN),
}
ALERT_POSTS: dict[str, tuple[str, Role]] = {
    "alert_settings": ("alerts/settings", Role.MEMBER),
    "alert_acknowledge": ("alerts/{alert}/acknowledge", Role.MEMBER),
    "alert_silence": ("alerts/{alert}/silence", Role.MEMBER),
    "alert_rule_new": ("alerts/rules/new?kind=RUNS", Role.MEMBER),
    "alert_rule_change": ("alerts/rules/{rule}/change", Role.MEMBER),
    "alert_rule_silence": ("alerts/rules/{rule}/silence", Role.MEMBER),
    "alert_rule_delete": ("alerts/rules/{rule}/delete", Role.MEMBER),
    "alert_channel_new": ("alerts/channels/new?kind=SLACK", Role.ADMIN),
    "alert_channel": ("alerts/channels/{channel}", Role.ADMIN),
    "alert_channel_test": ("alerts/channels/{channel}/test", Role.MEMBER),
    "alert_channel_delete": ("alerts/channels/{channel}/delete", Role.ADMIN),
}
