package shard

// placement is read by TestRingPlacement.
var placement = map[string]string{
	"ada@example.com":                      "shard-4",
	"grace@example.com":                    "shard-1",
	"alan@example.org":                     "shard-2",
	"edsger@example.net":                   "shard-1",
	"barbara@example.com":                  "shard-3",
	"o'hara+tag@example.com":               "shard-0",
	"00000000-0000-0000-0000-000000000000": "shard-2",
	"ffffffff-ffff-ffff-ffff-ffffffffffff": "shard-0",
	"01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f": "shard-1",
	"01a1ff96-be9a-7a1b-9e99-68f645101dc0": "shard-1",
	"01a1ff95-d259-7bfe-b14f-4a520ceef530": "shard-4",
	"01a1ff95-d29d-77b2-b0d8-4ea7a4b34d2d": "shard-0",
	"0193a0c4-1111-7000-8000-000000000001": "shard-2",
	"0193a0c4-1111-7000-8000-000000000002": "shard-0",
	"0193a0c4-1111-7000-8000-000000000003": "shard-2",
	"0193a0c4-1111-7000-8000-000000000004": "shard-1",
}
