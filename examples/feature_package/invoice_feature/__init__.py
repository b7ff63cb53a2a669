"""A feature: invoices. What it does in the background are jobs, in `invoice_feature.jobs`."""
