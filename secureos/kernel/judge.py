"""What becomes of a message before it is delivered: its verdict, and the record of it.

The security module decides. Around it stands what holds whatever it says: the messages that are never blocked are
served even if it fails, and what is refused without asking it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from secureos.audit import Record
from secureos.kernel.dispositions import Dispositions
from secureos.kernel.errors import HandleError, StartRefused
from secureos.kernel.program import Answer, Fields, ReturnCode
from secureos.kernel.records import Decision, Message, short, shown
from secureos.kernel.security_module import SecurityModule
from secureos.kernel.static_table import StaticTable, served
from secureos.policy import Event, Verdict

if TYPE_CHECKING:
    from secureos.audit.log import Way
    from secureos.kernel.kernel import Kernel

_NO_RULES: Final = ("default", "engine", "audit")  # what decided where no rule of the policy did


class Judge:
    """Asks for verdicts and records them.

    Args:
        kernel: Whose messages these are.
        module: What decides.

    Attributes:
        dispositions: What denials and stopped tasks have set going.
    """

    def __init__(self, kernel: Kernel, module: SecurityModule) -> None:
        image = kernel.image
        self._kernel = kernel
        self._module = module
        self._audit = kernel.audit
        self._static = StaticTable(image.safety, image.tasks)
        self.dispositions = Dispositions(kernel, self, image.safety, image.tasks)

    # ---- verdicts --------------------------------------------------------------------------------------------------

    def judge(self, message: Message, fields: Fields) -> Answer | None:
        """Ask for a verdict on a message with these fields, and record it; None when granted."""
        way, event = message.way, self._event(message, fields)
        if message.listed is None:
            message.listed = self._static.find(way, fields)
        verdict = self._verdict(message, way, event)
        safety = message.listed is not None
        self._audit.note(
            event.at_ns, way, verdict.rule, granted=verdict.granted, recorded=verdict.audited, safety=safety
        )
        if verdict.audited:  # the policy's audit profiles say which verdicts are; all of them are counted
            told = shown(fields)
            self.record(way, verdict.rule, verdict.reason, granted=verdict.granted, told=told, safety=safety)
        if verdict.granted:
            return None
        rule = "" if verdict.rule in _NO_RULES else verdict.rule
        return Answer(ReturnCode.SECURITY_DISALLOW, reason=verdict.reason, rule=rule)

    def _verdict(self, message: Message, way: Way, event: Event) -> Verdict:
        listed = message.listed
        if listed is not None:
            verdict = self._module.decide(event)
            return verdict if verdict.granted else served(listed, verdict)
        if (self.dispositions.latched or self._audit.failing is not None) and not message.final:
            forbidden = self.dispositions.forbids(way, event.message)
            if forbidden is not None:
                return forbidden
        return self._module.decide(event)

    def admissible(self, message: Message, fields: Fields) -> bool:
        """Whether a request with other fields would be delivered now; nothing changes by asking."""
        return self._static.find(message.way, fields) is not None or self._module.consider(self._event(message, fields))

    def _event(self, message: Message, fields: Fields) -> Event:
        kind, source, target, at_ns = message.kind, message.source, message.target, self._kernel.now_ns
        sid, dst = (None, None) if target is None else (target.sid, target.class_name)
        endpoint, method = message.endpoint, message.method
        return Event(kind, at_ns, source.sid, sid, source.class_name, dst, endpoint, method, fields)

    def execute(self, src: tuple[int, str], dst: tuple[int, str], name: str) -> None:
        """Ask whether a task may start; source and target are a security identifier and a class each.

        Raises:
            StartRefused: It may not.
        """
        verdict = self._module.decide(Event("execute", self._kernel.now_ns, src[0], dst[0], src[1], dst[1]))
        self._audit.count(granted=verdict.granted, rule=verdict.rule)
        self.record(("execute", src[1], name, "", ""), verdict.rule, verdict.reason, granted=verdict.granted)
        if not verdict.granted:
            raise StartRefused(f"task `{name}` of class `{dst[1]}` may not start: {verdict.reason} ({verdict.rule})")

    # ---- refusals that need no verdict -----------------------------------------------------------------------------

    def malformed(self, message: Message, wrong: str) -> Answer:
        """A message that does not fit its description is refused before any rule is asked, and always recorded."""
        return self._refused(message, ReturnCode.INVALID_ARGUMENT, "structure", f"malformed message: {wrong}")

    def incapable(self, message: Message, refusal: HandleError) -> Answer:
        """Nor is a rule asked about what the sender could not send in any case."""
        return self._refused(message, refusal.code, "capability", str(refusal))

    def _refused(self, message: Message, code: ReturnCode, rule: str, reason: str) -> Answer:
        self._audit.count(granted=False, rule=rule)
        self.record(message.way, rule, reason, granted=False, told=shown(message.fields))
        return Answer(code, reason=reason)

    # ---- records ---------------------------------------------------------------------------------------------------

    def record(
        self,
        way: Way,
        rule: str,
        reason: str,
        *,
        granted: bool,
        told: dict[str, Any] | None = None,
        safety: bool = False,
    ) -> None:
        """Record what happened to a message, or what the kernel did by itself.

        Args:
            way: What kind of event, from whom, to whom, and what; a task may have named the last two.
            rule: Which rule decided.
            reason: One sentence.
            granted: The verdict.
            told: What the message holds, as `shown` gives it; None for what is no message.
            safety: Whether it is never blocked.
        """
        event, src, dst, endpoint, method = way
        decision: Decision = "granted" if granted else "denied"
        self._audit.add(
            Record(
                number=self._audit.next_number,
                at_ns=self._kernel.now_ns,
                chain=self._kernel.chain,
                event=event,
                src=src,
                dst=dst,
                endpoint=short(endpoint),
                method=short(method),
                decision=decision,
                rule=rule,
                reason=reason,
                message=told,
            ),
            safety=safety,
        )
