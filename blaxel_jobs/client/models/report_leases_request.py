from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.awaited_report import AwaitedReport
    from ..models.completed_report import CompletedReport
    from ..models.crashed_report import CrashedReport
    from ..models.failed_report import FailedReport
    from ..models.noted_report import NotedReport
    from ..models.released_report import ReleasedReport
    from ..models.slept_report import SleptReport
    from ..models.stepped_report import SteppedReport


T = TypeVar("T", bound="ReportLeasesRequest")


@_attrs_define
class ReportLeasesRequest:
    """
    Attributes:
        reports (list[AwaitedReport | CompletedReport | CrashedReport | FailedReport | NotedReport | ReleasedReport |
            SleptReport | SteppedReport]):
    """

    reports: list[
        AwaitedReport | CompletedReport | CrashedReport | FailedReport | NotedReport | ReleasedReport | SleptReport | SteppedReport
    ]

    def to_dict(self) -> dict[str, Any]:
        from ..models.awaited_report import AwaitedReport
        from ..models.completed_report import CompletedReport
        from ..models.crashed_report import CrashedReport
        from ..models.failed_report import FailedReport
        from ..models.released_report import ReleasedReport
        from ..models.slept_report import SleptReport
        from ..models.stepped_report import SteppedReport

        reports = []
        for reports_item_data in self.reports:
            reports_item: dict[str, Any]
            if (
                isinstance(reports_item_data, CompletedReport)
                or isinstance(reports_item_data, FailedReport)
                or isinstance(reports_item_data, ReleasedReport)
                or isinstance(reports_item_data, CrashedReport)
                or isinstance(reports_item_data, SteppedReport)
                or isinstance(reports_item_data, SleptReport)
                or isinstance(reports_item_data, AwaitedReport)
            ):
                reports_item = reports_item_data.to_dict()
            else:
                reports_item = reports_item_data.to_dict()

            reports.append(reports_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "reports": reports,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.awaited_report import AwaitedReport
        from ..models.completed_report import CompletedReport
        from ..models.crashed_report import CrashedReport
        from ..models.failed_report import FailedReport
        from ..models.noted_report import NotedReport
        from ..models.released_report import ReleasedReport
        from ..models.slept_report import SleptReport
        from ..models.stepped_report import SteppedReport

        d = dict(src_dict)
        reports = []
        _reports = d.pop("reports")
        for reports_item_data in _reports:

            def _parse_reports_item(
                data: object,
            ) -> (
                AwaitedReport
                | CompletedReport
                | CrashedReport
                | FailedReport
                | NotedReport
                | ReleasedReport
                | SleptReport
                | SteppedReport
            ):
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_0 = CompletedReport.from_dict(data)

                    return componentsschemas_lease_report_type_0
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_1 = FailedReport.from_dict(data)

                    return componentsschemas_lease_report_type_1
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_2 = ReleasedReport.from_dict(data)

                    return componentsschemas_lease_report_type_2
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_3 = CrashedReport.from_dict(data)

                    return componentsschemas_lease_report_type_3
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_4 = SteppedReport.from_dict(data)

                    return componentsschemas_lease_report_type_4
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_5 = SleptReport.from_dict(data)

                    return componentsschemas_lease_report_type_5
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_lease_report_type_6 = AwaitedReport.from_dict(data)

                    return componentsschemas_lease_report_type_6
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_lease_report_type_7 = NotedReport.from_dict(data)

                return componentsschemas_lease_report_type_7

            reports_item = _parse_reports_item(reports_item_data)

            reports.append(reports_item)

        report_leases_request = cls(
            reports=reports,
        )

        return report_leases_request
