"""Wait conditions: a stack waits until something outside (a guest, a script) has said so often that it is done.

The handle has the address to tell it to; the condition counts. Source: Template Guide, "Wait condition".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pilvi.core import clock
from pilvi.core.errors import Failure, Invalid, NotFound
from pilvi.orchestration.template.schema import AllowedValues, Range
from pilvi.orchestration.types.heat.nested import engine_of
from pilvi.orchestration.types.interface import MAP, Attribute, ResourceType, Work, integer, string

SUCCESS, FAILURE = "SUCCESS", "FAILURE"
PREFIX = "signal:"
"""Each signal is an item of its own in the handle's data, so that two at a time don't overwrite each other."""
REASON_LONGEST, DATA_LONGEST, SIGNALS_MOST = 1000, 65_536, 1000
TRANSPORTS = ("CFN_SIGNAL", "TEMP_URL_SIGNAL", "HEAT_SIGNAL", "NO_SIGNAL", "ZAQAR_SIGNAL", "TOKEN_SIGNAL")


class SignalInvalid(Invalid):
    """{reason}"""
    code = "ValueError"


class WaitConditionTimeout(Failure):
    """{met} of {count} received{said}"""
    code = "WaitConditionTimeout"


class WaitConditionFailure(Failure):
    """{reasons}"""
    code = "WaitConditionFailure"


class Handle(ResourceType):
    """Collects signals. `keys`: (status, reason, data, id) as this kind of handle writes them."""
    local = True
    keys = ("status", "reason", "data", "id")
    defaults: Mapping[str, Any] = {"status": SUCCESS, "reason": "", "data": None}
    kind = "signal"

    def create(self, work: Work) -> None:
        work.physical_id = work.physical_name

    def signal(self, work: Work, details: Any) -> str | None:
        said = self.read(details, len(signals(work)) + 1)
        if len(signals(work)) >= SIGNALS_MOST: raise SignalInvalid(reason="The handle has received too many signals")
        word = str(said["id"])
        known = signals(work).get(word)
        if known is None or known["status"] != said["status"]: work.data[PREFIX + word] = {**said, "at": clock.now()}
        return f"status:{said['status']} reason:{said['reason']}"

    def read(self, details: Any, number: int) -> dict[str, Any]:
        """A signal's parts. Raises SignalInvalid."""
        if details is None: details = {}
        if not isinstance(details, Mapping): raise SignalInvalid(reason="Metadata format invalid: a JSON object is needed")
        status, reason, data, id = self.keys
        said = {"status": details.get(status, SUCCESS), "reason": details.get(reason) or f"Signal {number} received",
                "data": details.get(data), "id": details.get(id) or number}
        if said["status"] not in (SUCCESS, FAILURE): raise SignalInvalid(reason="The status must be SUCCESS or FAILURE")
        if len(str(said["id"])) > 255 or len(msgspec.json.encode(said["data"])) > DATA_LONGEST:
            raise SignalInvalid(reason="The signal is too large")
        return {**said, "reason": str(said["reason"])[:REASON_LONGEST]}


def signals(work: Work) -> dict[str, dict[str, Any]]:
    """{id: signal} of a handle."""
    return {name.removeprefix(PREFIX): said for name, said in work.data.items() if name.startswith(PREFIX)}


class WaitConditionHandle(Handle):
    """The handle of templates in HOT."""
    name = "OS::Heat::WaitConditionHandle"
    description = "Resource for managing instance signals."
    properties = {"signal_transport": string("How the client will signal the wait condition. Whatever is chosen, the address carries a "
                                             "signature and needs no token.", default="TOKEN_SIGNAL",
                                             constraints=(AllowedValues(TRANSPORTS),), since="6.0.0")}
    attributes = {
        "token": Attribute("Token for stack-user which can be used for signalling handle; the address needs none."),
        "endpoint": Attribute("Endpoint/url which can be used for signalling handle."),
        "curl_cli": Attribute("Convenience attribute, provides curl CLI command prefix, which can be used for signalling handle completion "
                              "or failure, e.g. with --data-binary '{\"status\": \"SUCCESS\"}'."),
        "signal": Attribute("JSON serialized map that includes the endpoint, token and/or other attributes the client must use for "
                            "signalling this handle.")}

    def attribute(self, work: Work, name: str) -> Any:
        if work.properties["signal_transport"] == "NO_SIGNAL": return None
        url = engine_of(work).signal_url(work)
        if name == "token": return "signed"
        if name == "endpoint": return url
        if name == "curl_cli":
            return f"curl -i -X POST -H 'X-Auth-Token: signed' -H 'Content-Type: application/json' -H 'Accept: application/json' {url}"
        return msgspec.json.encode({"alarm_url": url}).decode()


class UpdateWaitConditionHandle(WaitConditionHandle):
    """Forgets its signals when the stack is updated, so that the condition waits anew."""
    name = "OS::Heat::UpdateWaitConditionHandle"
    description = "WaitConditionHandle that clears signals and changes handle on update."
    always_update = True

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        for word in list(signals(work)): del work.data[PREFIX + word]


class CfnWaitConditionHandle(Handle):
    """The handle of CloudFormation: its reference is the signed address, which takes a PUT."""
    name = "AWS::CloudFormation::WaitConditionHandle"
    description = "AWS WaitConditionHandle resource."
    keys = ("Status", "Reason", "Data", "UniqueId")
    kind = "waitcondition"

    def read(self, details: Any, number: int) -> dict[str, Any]:
        if not isinstance(details, Mapping) or not set(self.keys) <= set(details):
            raise SignalInvalid(reason="Metadata format invalid: Status, Reason, Data and UniqueId are needed")
        return super().read(details, number)

    def reference(self, work: Work) -> Any:
        return engine_of(work).signal_url(work, self.kind) if work.physical_id else work.physical_name


class SwiftSignalHandle(Handle):
    """A handle whose address takes a PUT. In Heat it is a temporary URL of the object store; here the stack takes it itself."""
    name = "OS::Heat::SwiftSignalHandle"
    description = "Resource for managing signals from servers, which PUT them to an address."
    since = "2014.2"
    attributes = {
        "token": Attribute("Empty: the address carries a signature."), "endpoint": Attribute("The address."),
        "curl_cli": Attribute("A curl command that says SUCCESS; add --data-binary '{\"status\": \"FAILURE\"}' for the contrary.")}

    def reference(self, work: Work) -> Any:
        return engine_of(work).signal_url(work) if work.physical_id else work.physical_name

    def attribute(self, work: Work, name: str) -> Any:
        if name == "token": return ""
        url = engine_of(work).signal_url(work)
        return url if name == "endpoint" else f"curl -i -X PUT '{url}'"


class WaitCondition(ResourceType):
    """Waits for `count` signals at the handle."""
    name = "OS::Heat::WaitCondition"
    description = "Resource for handling signals received by WaitConditionHandle."
    longest_wait_seconds = 1.0
    words = ("handle", "timeout", "count")
    properties = {
        "handle": string("A reference to the wait condition handle used to signal this wait condition.", required=True, update=True),
        "timeout": integer("The number of seconds to wait for the correct number of signals to arrive.", required=True, update=True,
                           constraints=(Range(1, 43200),)),
        "count": integer("The number of success signals that must be received before the stack creation process continues.", default=1,
                         update=True, constraints=(Range(min=1),))}
    attributes = {"data": Attribute("JSON string containing data associated with wait condition signals sent to the handle.", MAP)}

    def create(self, work: Work) -> None:
        work.physical_id = work.physical_name

    def created(self, work: Work) -> bool:
        return self._met(work, work.properties)

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return self._met(work, {**work.properties, **changes})

    def _handle(self, work: Work, properties: Mapping[str, Any]) -> Work:
        reference = str(properties[self.words[0]])
        # A cfn handle's reference is its address, which names the resource last.
        found = engine_of(work).sibling(work, reference) or engine_of(work).named(work, reference.rpartition("/")[2].partition("?")[0])
        if found is None: raise NotFound(f"The wait condition handle {reference} could not be found")
        return found

    def _met(self, work: Work, properties: Mapping[str, Any]) -> bool:
        count = properties[self.words[2]]
        received = signals(self._handle(work, properties))
        failed = [said["reason"] for said in received.values() if said["status"] != SUCCESS]
        if failed: raise WaitConditionFailure(reasons=";".join(failed))
        if len(received) >= count: return True
        if clock.now() < work.began_at + properties[self.words[1]]: return False
        reasons = ";".join(said["reason"] for said in received.values())
        raise WaitConditionTimeout(met=len(received), count=count, said=f" - {reasons}" if reasons else "")

    def attribute(self, work: Work, name: str) -> Any:
        received = signals(self._handle(work, work.properties))
        return msgspec.json.encode({word: said["data"] for word, said in sorted(received.items(), key=lambda one: one[1]["at"])}).decode()


class CfnWaitCondition(WaitCondition):
    """The same in CloudFormation's words."""
    name = "AWS::CloudFormation::WaitCondition"
    description = "Resource for handling signals received by WaitConditionHandle."
    words = ("Handle", "Timeout", "Count")
    properties = {
        "Handle": string("A reference to the wait condition handle used to signal this wait condition.", required=True),
        "Timeout": integer("The number of seconds to wait for the correct number of signals to arrive.", required=True,
                           constraints=(Range(1, 43200),)),
        "Count": integer("The number of success signals that must be received before the stack creation process continues.", default=1,
                         update=True, constraints=(Range(min=1),))}
    attributes = {"Data": Attribute("JSON string containing data associated with wait condition signals sent to the handle.", MAP)}


class SwiftSignal(WaitCondition):
    """The same for what was PUT."""
    name = "OS::Heat::SwiftSignal"
    description = "Resource for handling signals received by SwiftSignalHandle."
    since = "2014.2"
    properties = {
        "handle": string("The handle's address.", required=True),
        "timeout": integer("The number of seconds to wait for the signals.", required=True, constraints=(Range(1, 43200),)),
        "count": integer("The number of signals to wait for.", default=1, constraints=(Range(1, SIGNALS_MOST),))}
    attributes = {"data": Attribute("What came with the signals, as JSON: {id: data}.", MAP)}
