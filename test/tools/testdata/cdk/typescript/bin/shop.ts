#!/usr/bin/env node
import * as cdk from 'aws-cdk-lib';
import { DataStack, WorkStack } from '../lib/shop-stack';

const app = new cdk.App();
const data = new DataStack(app, 'ShopData');
new WorkStack(app, 'ShopWork', { orders: data.orders, greeting: app.node.tryGetContext('greeting') ?? 'hello' });
