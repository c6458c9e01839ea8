package differences

// classes in the order in which they are tried: first those of what every answer
// has, then of descriptions and items, then of texts, the order of checks last.
var classes = []class{
	{
		name: "members of table descriptions", section: "D.9",
		quote: "DeletionProtectionEnabled always present; BillingModeSummary only for on-demand (LastUpdateToPayPerRequestDateTime appears once ACTIVE); DescribeTable adds WarmThroughput; AttributeDefinitions and NonKeyAttributes come back sorted by name",
		apply: descriptions,
	},
}
