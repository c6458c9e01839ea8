"""Sends a confirmation for each sign-up, once.

A record may be delivered again, after a failure or a crash. Its eventID is the same then, so an item by that id
tells what has been sent. A crash between sending and noting it is the one moment that no program can look into: then
the e-mail goes out again, under the same Message-ID, by which mail programs know it as the same one.
"""

import os
import smtplib
from email.message import EmailMessage

import boto3

mails = boto3.resource("dynamodb").Table(os.environ["MAILS"])
host, _, port = os.environ["MAIL_SERVER"].partition(":")


def handler(event, context):
    for record in event["Records"]:
        try:
            confirm(record["eventID"], record["dynamodb"]["NewImage"])
        except Exception as err:  # what came before is done; from here on it is tried again
            print("cannot send:", err)
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def confirm(event, signup):
    if "Item" in mails.get_item(Key={"event": event}, ConsistentRead=True):
        return
    address = signup["email"]["S"]
    mail = EmailMessage()
    mail["Message-ID"] = f"<{event}@signups.example>"
    mail["From"], mail["To"], mail["Subject"] = "welcome@signups.example", address, "Please confirm"
    mail.set_content(f"Hello {signup['name']['S']},\n\nwelcome! Please confirm your address.\n")
    with smtplib.SMTP(host, int(port or 25), timeout=10) as server:
        server.send_message(mail)
    mails.put_item(Item={"event": event, "to": address})
    print("sent to", address)
