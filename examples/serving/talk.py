"""Talk to the served flows: as a model, as a run that outlives the connection, and as one that asks.

FLOW_URL=http://127.0.0.1:8000 FLOW_KEY=... python talk.py
"""

import os

import httpx2
import openai

URL, KEY = os.environ["FLOW_URL"], os.environ["FLOW_KEY"]
TEXT = "a tree of tasks\n\nand a journal of everything"

with openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY) as client:
    done = client.chat.completions.create(
        model="longest_words", messages=[{"role": "user", "content": TEXT}]
    )
    print("as a model:", done.choices[0].message.content)

with httpx2.Client(base_url=URL, headers={"authorization": f"Bearer {KEY}"}) as http:
    body = {"flow": "longest_words", "input": {"text": TEXT, "count": 1}}
    # The same key gives the same run, however often a client that lost its connection asks.
    run = http.post("/runs", json=body, headers={"idempotency-key": "talk-1"}).json()["id"]
    with http.stream("GET", f"/runs/{run}/events") as stream:
        names = [line.removeprefix("event: ") for line in stream.iter_lines() if "event: " in line]
    print("as a run:", http.get(f"/runs/{run}").json()["answer"], "after", len(names), "events")

    run = http.post("/runs", json={"flow": "approved", "input": {"text": TEXT}}).json()["id"]
    while (found := http.get(f"/runs/{run}").json())["status"] != "paused":
        pass
    print("it asks:", found["questions"][0]["text"])
    http.post(f"/runs/{run}/answer", json={"answer": "yes"})
    with http.stream("GET", f"/runs/{run}/events") as stream:
        for _line in stream.iter_lines():
            pass
    print("in the end:", http.get(f"/runs/{run}").json()["answer"])
