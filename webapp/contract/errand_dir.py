"""What lies in an errand's folder: the child is told in `request.json`, answers in `answer.json`, and says in
`events.jsonl` how far it is or why it failed."""

REQUEST, ANSWER = "request.json", "answer.json"
