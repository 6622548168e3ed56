"""Actions of the Chaos Toolkit extension. Names and arguments are stable: experiments are written against them.

An action that breaks something has the rollback that its docstring names; it is recorded with the moment at which
its effect was seen. Whatever an interrupted experiment leaves in force is undone with the run.
"""

from necp_validate.chaos.actions.access import grant_access, revoke_access
from necp_validate.chaos.actions.alerts import (
    ask_for_denied,
    clear_crowded_disks,
    close_plaintext_listener,
    crowd_disk,
    fail_to_log_in,
    let_certificate_end_soon,
    open_plaintext_listener,
    renew_ending_certificates,
)
from necp_validate.chaos.actions.breakers import await_breaker, poison_until_open, stop_poison
from necp_validate.chaos.actions.brokers import (
    kill_below_min_isr,
    kill_broker,
    pause_broker,
    restart_brokers_in_turn,
    resume_brokers,
    start_brokers,
    stop_broker,
)
from necp_validate.chaos.actions.certificates import (
    expiring_certificate,
    reload_certificates,
    roll_authority,
    settle_certificates,
)
from necp_validate.chaos.actions.cores import (
    kill_core,
    pause_core,
    replace_cores,
    reset_core_clocks,
    resume_cores,
    step_core_clock,
    stop_core,
)
from necp_validate.chaos.actions.disks import fill_disk, free_disks, make_disk_read_only, make_disks_writable
from necp_validate.chaos.actions.drills import (
    pause_consumers,
    reconcile_books,
    renew_certificate,
    resume_consumers,
    roll_back_cores,
    roll_forward_cores,
)
from necp_validate.chaos.actions.gateway import (
    heal_gateway_link,
    kill_gateway,
    lossy_gateway_link,
    pause_gateway,
    replace_gateway,
    resume_gateway,
)
from necp_validate.chaos.actions.limits import flood_publisher
from necp_validate.chaos.actions.links import cut_links, heal_links, lossy_links, slow_links
from necp_validate.chaos.actions.passwords import rotate_password, settle_passwords, watch_new_logins
from necp_validate.chaos.actions.scaling import add_partitions, retire_cores, scale_cores
from necp_validate.chaos.actions.traffic import hold, watch_flood, watch_poison

__all__ = [
    "add_partitions",
    "ask_for_denied",
    "await_breaker",
    "clear_crowded_disks",
    "close_plaintext_listener",
    "crowd_disk",
    "cut_links",
    "expiring_certificate",
    "fail_to_log_in",
    "fill_disk",
    "flood_publisher",
    "free_disks",
    "grant_access",
    "heal_gateway_link",
    "heal_links",
    "hold",
    "kill_below_min_isr",
    "kill_broker",
    "kill_core",
    "kill_gateway",
    "let_certificate_end_soon",
    "lossy_gateway_link",
    "lossy_links",
    "make_disk_read_only",
    "make_disks_writable",
    "open_plaintext_listener",
    "pause_broker",
    "pause_consumers",
    "pause_core",
    "pause_gateway",
    "poison_until_open",
    "reconcile_books",
    "reload_certificates",
    "renew_certificate",
    "renew_ending_certificates",
    "replace_cores",
    "replace_gateway",
    "reset_core_clocks",
    "restart_brokers_in_turn",
    "resume_brokers",
    "resume_consumers",
    "resume_cores",
    "resume_gateway",
    "retire_cores",
    "revoke_access",
    "roll_authority",
    "roll_back_cores",
    "roll_forward_cores",
    "rotate_password",
    "scale_cores",
    "settle_certificates",
    "settle_passwords",
    "slow_links",
    "start_brokers",
    "step_core_clock",
    "stop_broker",
    "stop_core",
    "stop_poison",
    "watch_flood",
    "watch_new_logins",
    "watch_poison",
]
