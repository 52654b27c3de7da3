"""The help pages there are, in the order one reads them."""

from typing import NamedTuple


class HelpPage(NamedTuple):
    slug: str
    title: str
    sentence: str

    @property
    def template(self) -> str:
        return f"help/{self.slug.replace('-', '_')}.html"


PAGES: dict[str, HelpPage] = {
    page.slug: page
    for page in (
        HelpPage("how-it-works", "How it works", "From rows to an adapter, and what happens on the way."),
        HelpPage("datasets", "Datasets", "Which files are read, how columns get their roles, what is refused and why."),
        HelpPage("models", "Base models", "What a job starts from, how more are added, what is checked."),
        HelpPage("methods", "Methods and settings", "What each method does, and a sentence on every knob."),
        HelpPage("verdict", "Reading the verdict", "How base and tuned are compared, and how sure one can be."),
        HelpPage("jobs", "Jobs that last", "Pause, keep, retry; whose turn it is; what happens when a machine dies."),
        HelpPage("webhooks", "Webhooks", "Have another program told when a job ends, and check that it was us."),
        HelpPage("workers", "Workers", "What trains: adding, pausing and retiring workers, and how they are."),
        HelpPage("running", "Running it", "Two commands, the first admin, where everything lies."),
        HelpPage("limits", "Known limits", "What this version does not do yet."),
    )
}
