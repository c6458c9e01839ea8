#!/usr/bin/env python3
import aws_cdk as cdk

from shop_stack import DataStack, WorkStack

app = cdk.App()
data = DataStack(app, "ShopData")
WorkStack(app, "ShopWork", orders=data.orders, greeting=app.node.try_get_context("greeting") or "hello")
app.synth()
