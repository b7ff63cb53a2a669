"""The feature's jobs. What their payloads are is said here and nowhere else; blaxel_jobs stores them as they are.

pip install ./examples/feature_package
python -m blaxel_jobs.worker                                    # serves every installed feature
python -m blaxel_jobs.worker invoice_feature.jobs               # or this one, by its import path
"""

from dataclasses import dataclass
from decimal import Decimal

from blaxel_jobs import TaskContext, define_job


@dataclass(frozen=True)
class Line:
    text: str
    price: Decimal
    count: int = 1


@dataclass(frozen=True)
class Invoice:
    customer: str
    lines: list[Line]


@dataclass(frozen=True)
class Total:
    customer: str
    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.tax


@define_job("invoice-total", input=Invoice, output=Total, queue="invoices", max_retries=3)
def invoice_total(step: TaskContext, invoice: Invoice) -> Total:
    net = step.run("add", add, invoice.lines)
    return Total(invoice.customer, net, step.run("tax", tax_on, net))


def add(lines: list[Line]) -> Decimal:
    return sum((line.price * line.count for line in lines), Decimal(0))


def tax_on(net: Decimal) -> Decimal:
    return (net * Decimal("0.19")).quantize(Decimal("0.01"))
